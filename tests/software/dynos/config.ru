# A dyno under Rack, for Puma; README.md says what it answers.

require "digest"
require "fileutils"
require "json"

PIECE = ((0..250).to_a.pack("C*") * 64).freeze

def wait_for(path)
  deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 30
  until File.exist?(path)
    raise "#{path} does not come" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline
    sleep 0.005
  end
end

def pattern(size)
  Enumerator.new do |out|
    while size.positive?
      out << PIECE.byteslice(0, size)
      size -= PIECE.bytesize
    end
  end
end

def events(folder)
  Enumerator.new do |out|
    3.times do |i|
      out << "data: #{i}\n\n"
      wait_for("#{folder}/event-#{i}")
    end
  end
end

def text(value)
  value.dup.force_encoding("ISO-8859-1").encode("UTF-8")
end

def echo(env)
  digest = Digest::SHA256.new
  length = 0
  while (data = env["rack.input"].read(65_536))
    digest.update(data)
    length += data.bytesize
  end
  headers = env.select { |name, _| name.start_with?("HTTP_") }
  headers = headers.to_h { |name, value| [name[5..].tr("_", "-").downcase, text(value)] }
  query = env["QUERY_STRING"]
  { method: env["REQUEST_METHOD"],
    path: env["PATH_INFO"] + (query.empty? ? "" : "?#{query}"),
    headers: headers, length: length, sha256: digest.hexdigest }
end

run(lambda do |env|
  folder = env["QUERY_STRING"]
  to_head = env["REQUEST_METHOD"] == "HEAD"
  _, kind, value = env["PATH_INFO"].split("/")
  case kind
  when "bytes"
    [200, { "Content-Length" => value }, to_head ? [] : pattern(value.to_i)]
  when "chunks"
    [200, { "Content-Type" => "application/octet-stream" }, pattern(value.to_i)]
  when "events"
    [200, { "Content-Type" => "text/event-stream" }, events(folder)]
  when "hold"
    FileUtils.touch("#{folder}/begun")
    wait_for("#{folder}/go")
    [200, { "Content-Length" => "4" }, ["held"]]
  when "status"
    [value.to_i, { "ETag" => '"tag"' }, []]
  when "redirect"
    [302, { "Location" => "/echo?redirected", "Content-Length" => "0" }, []]
  when "fields"
    # Rack 2 takes several values of one name as lines.
    fields = { "Set-Cookie" => "a=1; Path=/\nb=2; Path=/", "X-Multi" => "one\ntwo" }
    [200, fields.merge("X-Odd" => "caf\xE9".b, "Content-Length" => "0"), []]
  else
    body = JSON.generate(echo(env))
    fields = { "Content-Type" => "application/json", "Content-Length" => body.bytesize.to_s }
    [200, fields, to_head ? [] : [body]]
  end
end)
