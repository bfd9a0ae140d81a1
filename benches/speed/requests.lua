-- For wrk: sends the requests of a file round robin, each thread from another place on, and says at
-- the end what came of it, as JSON. A line is PATH, AUTHORIZATION, CONTENT-TYPE and BODY with tabs
-- between; without a body it is a GET.
local threads = 0

function setup(thread)
    thread:set("place", threads)
    threads = threads + 1
end

local requests = {}
local at = 0

function init(args)
    for line in io.lines(args[1]) do
        local path, authorization, kind, body = line:match("^([^\t]*)\t([^\t]*)\t([^\t]*)\t(.*)$")
        local headers = { ["Accept"] = "application/json" }
        if authorization ~= "" then
            headers["Authorization"] = authorization
        end
        local method = "GET"
        if body ~= "" then
            method = "POST"
            headers["Content-Type"] = kind
        end
        requests[#requests + 1] = wrk.format(method, path, headers, body ~= "" and body or nil)
    end
    -- Threads ask for different things at any moment.
    at = math.floor(#requests * place * 0.618) % #requests
end

function request()
    at = at % #requests + 1
    return requests[at]
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '{"requests": %d, "duration_us": %d, "bytes": %d, "p50_us": %d, "p99_us": %d, "p999_us": %d, ' ..
        '"errors": {"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}}\n',
        summary.requests, summary.duration, summary.bytes,
        latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
        errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
