// A client on java.net.http.HttpClient: PORT HOST DIR FEATURES.
//
// Its version is left at HTTP/2, its default: over plain HTTP it then asks for an upgrade to h2c
// with each request, which has to be passed over.

import java.io.ByteArrayInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;

public class Client {
    static final int LARGE = 8 << 20;
    static final int[] SIZES = {0, 1, 1000, 65536, LARGE};

    static String base;
    static String host;
    static Path folder;
    // Without this, each redirect would be followed or none.
    static final HttpClient client = HttpClient.newHttpClient();
    static final HttpClient follower =
            HttpClient.newBuilder().followRedirects(HttpClient.Redirect.ALWAYS).build();

    public static void main(String[] arguments) throws Exception {
        base = "http://127.0.0.1:" + arguments[0];
        host = arguments[1];
        folder = Path.of(arguments[2]);
        kept();
        bodies();
        withoutBodies();
        fields();
        errors();
        expect();
        events();
        pool("/echo?many=", 0, 200, 20);
        leave();
        kept();
        for (int count = 0; !Files.exists(folder.resolve("stop")); count += 4) {
            pool("/echo?loop=", count, 4, 4);
            check(count < 1_000_000, "nobody stops the loop");
        }
        System.out.println("ok");
        System.exit(0);
    }

    static void check(boolean holds, Object shown) {
        if (!holds) {
            throw new AssertionError(String.valueOf(shown));
        }
    }

    static HttpRequest.Builder to(String path) {
        return HttpRequest.newBuilder(URI.create(base + path))
                .header("Host", host)
                .timeout(Duration.ofSeconds(60));
    }

    static HttpResponse<byte[]> ask(HttpRequest.Builder request, int status) throws Exception {
        var answer = client.send(request.build(), BodyHandlers.ofByteArray());
        boolean isGood = answer.statusCode() == status
                && answer.headers().firstValue("Hostler-Error").isEmpty()
                && answer.version() == HttpClient.Version.HTTP_1_1;
        check(isGood, answer + " " + answer.headers());
        return answer;
    }

    static String text(HttpRequest.Builder request) throws Exception {
        return new String(ask(request, 200).body(), "UTF-8").replaceAll("\": ", "\":");
    }

    static void has(String text, String part) {
        check(text.contains(part), part + " is not in " + text);
    }

    static byte[] pattern(int size) {
        byte[] bytes = new byte[size];
        for (int i = 0; i < size; i += 1) {
            bytes[i] = (byte) (i % 251);
        }
        return bytes;
    }

    static String sha256(byte[] bytes) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    }

    static void kept() throws Exception {
        for (int turn = 0; turn < 5; turn += 1) {
            String seen = text(to("/echo?turn=" + turn));
            has(seen, "\"path\":\"/echo?turn=" + turn + "\"");
            has(seen, "\"host\":\"" + host + "\"");
            check(!seen.contains("h2c") && !seen.contains("http2-settings"), seen);
        }
    }

    static void bodies() throws Exception {
        for (int size : SIZES) {
            byte[] body = pattern(size);
            for (BodyPublisher published : new BodyPublisher[] {
                BodyPublishers.ofByteArray(body),
                // Of unknown length, so in chunks.
                BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(body)),
            }) {
                String seen = text(to("/echo").POST(published));
                has(seen, "\"length\":" + size);
                has(seen, "\"sha256\":\"" + sha256(body) + "\"");
            }
            for (String kind : new String[] {"bytes", "chunks"}) {
                byte[] got = ask(to("/" + kind + "/" + size), 200).body();
                check(Arrays.equals(got, body), kind + " " + size + " became " + got.length);
            }
        }
    }

    static void withoutBodies() throws Exception {
        for (int turn = 0; turn < 2; turn += 1) {
            var head = ask(to("/bytes/1000").method("HEAD", BodyPublishers.noBody()), 200);
            check(head.headers().firstValueAsLong("Content-Length").getAsLong() == 1000, head);
            for (int status : new int[] {204, 304, 404}) {
                var answer = ask(to("/status/" + status), status);
                check(answer.headers().firstValue("ETag").get().equals("\"tag\""), answer);
                check(status == 404 || answer.body().length == 0, answer);
            }
        }
    }

    static void fields() throws Exception {
        var redirect = ask(to("/redirect"), 302);
        String location = redirect.headers().firstValue("Location").get();
        check(location.equals("/echo?redirected"), location);
        var followed = follower.send(to("/redirect").build(), BodyHandlers.ofString());
        has(followed.body(), "/echo?redirected");
        var headers = ask(to("/fields"), 200).headers();
        List<String> cookies = headers.allValues("Set-Cookie");
        check(cookies.size() == 2 && cookies.get(1).startsWith("b=2"), cookies);
        has(String.join(", ", headers.allValues("X-Multi")), "one, two");
        String seen = text(to("/echo").header("Cookie", "a=1; b=2").header("X-Two", "1")
                .header("X-Two", "2"));
        has(seen, "\"cookie\":\"a=1; b=2\"");
        has(seen.replace("1, 2", "1,2"), "\"x-two\":\"1,2\"");
    }

    static void errors() throws Exception {
        String[][] kinds = {
            {"application/json", "application/problem+json"},
            {"text/html", "text/html; charset=utf-8"},
            {"text/plain", "text/plain; charset=utf-8"},
        };
        for (String[] kind : kinds) {
            var request = HttpRequest.newBuilder(URI.create(base)).header("Host", "nobody.test")
                    .header("Accept", kind[0]);
            var answer = client.send(request.build(), BodyHandlers.ofString());
            String type = answer.headers().firstValue("Content-Type").get();
            check(answer.statusCode() == 404 && type.equals(kind[1]), answer + " " + type);
        }
    }

    static void expect() throws Exception {
        byte[] body = pattern(3_000_000);
        var request = to("/echo").expectContinue(true).POST(BodyPublishers.ofByteArray(body));
        String seen = text(request);
        has(seen, "\"sha256\":\"" + sha256(body) + "\"");
        check(!seen.contains("\"expect\""), seen);
    }

    static void events() throws Exception {
        var answer = client.send(to("/events?" + folder).build(), BodyHandlers.ofLines());
        List<String> seen = new ArrayList<>();
        var lines = answer.body().iterator();
        while (lines.hasNext()) {
            String line = lines.next();
            if (line.startsWith("data: ")) {
                // The dyno goes on only now: an event held back anywhere ends the round.
                Files.createFile(folder.resolve("event-" + seen.size()));
                seen.add(line);
            }
        }
        check(seen.equals(List.of("data: 0", "data: 1", "data: 2")), seen);
    }

    static void pool(String path, int from, int count, int atOnce) throws Exception {
        var threads = Executors.newFixedThreadPool(atOnce);
        try {
            List<CompletableFuture<Void>> asked = new ArrayList<>();
            for (int i = from; i < from + count; i += 1) {
                String one = path + i;
                asked.add(CompletableFuture.runAsync(() -> {
                    try {
                        has(text(to(one)), "\"path\":\"" + one + "\"");
                    } catch (Exception failed) {
                        throw new RuntimeException(one, failed);
                    }
                }, threads));
            }
            for (var one : asked) {
                one.get();
            }
        } finally {
            threads.shutdown();
        }
    }

    static void leave() throws Exception {
        var asked = client.sendAsync(to("/hold?" + folder).build(), BodyHandlers.ofString());
        while (!Files.exists(folder.resolve("begun"))) {
            check(!asked.isDone(), asked);
            Thread.sleep(5);
        }
        check(asked.cancel(true), asked);
    }
}
