-- For wrk: uploads of 1 MiB in chunks of 16 KiB.
local BODY_BYTES = 1024 * 1024
local CHUNK_BYTES = 16 * 1024

init = function()
  local head = "POST " .. wrk.path .. " HTTP/1.1\r\nHost: " .. wrk.headers["Host"] .. "\r\nTransfer-Encoding: chunked\r\n\r\n"
  local chunk = string.format("%x\r\n", CHUNK_BYTES) .. string.rep("x", CHUNK_BYTES) .. "\r\n"
  local upload = head .. string.rep(chunk, BODY_BYTES / CHUNK_BYTES) .. "0\r\n\r\n"
  -- wrk.format would add a Content-Length. wrk calls it once and sends the same request again and again; a function called
  -- request would be called, and its megabyte copied, each time.
  wrk.format = function()
    return upload
  end
end
