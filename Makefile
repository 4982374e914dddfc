# The commands of the project. Each says what it lacks, or installs it (Debian, as root).

# Seconds that each fuzz target runs in the test command.
FUZZ_SECONDS ?= 10
CARGO ?= cargo

# Cases that schemathesis makes of each call of the push API.
SCHEMATHESIS_EXAMPLES ?= 200

# Requests of each run of the simulation, and the seed that they follow from.
SIM_REQUESTS ?= 500000
SIM_SEED ?= 6

# Seconds of the soak.
SOAK_SECONDS ?= 600

.PHONY: help demo test tidy fuzz schemathesis bench versus sim soak push config check-deps

help:
	@echo "make demo        build the release binary and run the whole product on this machine"
	@echo "make test        every check and every test"
	@echo "make tidy        the rules of the code alone"
	@echo "make fuzz        every fuzz target for FUZZ_SECONDS ($(FUZZ_SECONDS)) each"
	@echo "make schemathesis  SCHEMATHESIS_EXAMPLES ($(SCHEMATHESIS_EXAMPLES)) cases of each call of the push API, by its OpenAPI document"
	@echo "make bench       the benches of the parts"
	@echo "make versus      this router beside others, end to end"
	@echo "make sim         the choice of dynos, simulated with SIM_REQUESTS ($(SIM_REQUESTS)) requests each"
	@echo "make push        storms of pushes with traffic on, beside their budgets"
	@echo "make soak        mixed traffic and pushes for SOAK_SECONDS ($(SOAK_SECONDS)), every request accounted for"
	@echo "make config      write config/default.toml anew"
	@echo "make check-deps  licences, sources and versions of the dependencies (cargo-deny)"

demo:
	@tests/setup.sh build
	$(CARGO) build --release --locked
	./target/release/hostler demo

test:
	@tests/setup.sh test
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) test --locked
	$(CARGO) test --locked --bench lookup --bench pick --bench publish --bench store --bench table --bench telemetry --bench versus --bench soak --bench push
	@tests/fuzz.sh $(FUZZ_SECONDS)

tidy:
	$(CARGO) test --locked --test tidy

fuzz:
	@tests/setup.sh test
	@tests/fuzz.sh $(FUZZ_SECONDS)

schemathesis:
	@tests/setup.sh test
	SCHEMATHESIS_EXAMPLES=$(SCHEMATHESIS_EXAMPLES) $(CARGO) test --locked --test it schemathesis_finds_nothing -- --nocapture

bench:
	@tests/setup.sh build
	$(CARGO) bench --locked --bench lookup --bench pick --bench publish --bench store --bench table --bench telemetry

versus:
	@tests/setup.sh bench
	$(CARGO) bench --locked --bench versus

sim:
	@tests/setup.sh build
	SIM_REQUESTS=$(SIM_REQUESTS) SIM_SEED=$(SIM_SEED) $(CARGO) test --release --locked --test sim -- --nocapture

soak:
	@tests/setup.sh build
	SOAK_SECONDS=$(SOAK_SECONDS) $(CARGO) bench --locked --bench soak

push:
	@tests/setup.sh build
	$(CARGO) bench --locked --bench push

config:
	UPDATE_DEFAULT_TOML=1 $(CARGO) test --locked --lib the_committed_file_is_the_generated_one

check-deps:
	@command -v cargo-deny >/dev/null || { echo "cargo-deny is missing: cargo install --locked cargo-deny" >&2; exit 1; }
	$(CARGO) deny --locked check bans licenses sources
	$(CARGO) deny --locked check advisories || { echo "advisories: see above; without a network the list cannot be read" >&2; exit 1; }
