-- The requests that wrk sends, built before it begins. Arguments: kind (relay or webdis), command (get or set),
-- how many commands in one request, the token.
local many = 512

local function key() return "bench:" .. math.random(0, 9999) end
local value = string.rep("x", 64)

local function command(name)
  if name == "set" then return '["SET","' .. key() .. '","' .. value .. '"]' end
  return '["GET","' .. key() .. '"]'
end

function init(args)
  local kind, name, depth, token = args[1], args[2], tonumber(args[3]), args[4]
  math.randomseed(1)
  requests = {}
  local headers = { ["Authorization"] = "Bearer " .. (token or ""), ["Content-Type"] = "application/json" }
  for at = 1, many do
    local parts = {}
    for each = 1, depth do
      if kind == "relay" then
        parts[each] = command(name)
      else
        local path = name == "set" and "/SET/" .. key() .. "/" .. value or "/GET/" .. key()
        parts[each] = wrk.format("GET", path)
      end
    end
    if kind == "webdis" then
      -- It knows no list of commands: so many requests at once, without waiting for answers.
      requests[at] = table.concat(parts)
    elseif depth == 1 then
      requests[at] = wrk.format("POST", "/nodes/a", headers, parts[1])
    else
      requests[at] = wrk.format("POST", "/nodes/a/pipeline", headers, "[" .. table.concat(parts, ",") .. "]")
    end
  end
  next = 0
end

function request()
  next = next % many + 1
  return requests[next]
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\nRESULT {"requests":%d,"durationUs":%d,"errors":%d,"p50Us":%d,"p99Us":%d}\n',
    summary.requests, summary.duration, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
