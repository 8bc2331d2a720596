-- For wrk: sixteen requests in every write.
local DEPTH = 16

init = function()
  local requests = {}
  for i = 1, DEPTH do
    requests[i] = wrk.format("GET", "/plaintext")
  end
  pipelined = table.concat(requests)
end

request = function()
  return pipelined
end
