-- Forged tokens at full speed, each another one: `kind` is the file that holds the form's fields but
-- for the signature.
local body
local count = 0

function init(args)
    local file = assert(io.open(args[1]))
    body = file:read("*a")
    file:close()
    wrk.method = "POST"
    wrk.path = "/oauth/token"
    wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
end

function request()
    count = count + 1
    -- 342 characters of base64url are the 256 bytes of an RSA signature.
    local signature = string.format("%08d", count % 100000000) .. string.rep("A", 334)
    return wrk.format(nil, nil, nil, (body:gsub("SIGNATURE", signature)))
end
