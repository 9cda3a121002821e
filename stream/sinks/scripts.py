"""The Lua scripts that make a result visible: each runs in Redis as one atomic step, on keys of one hash slot."""

from __future__ import annotations

FINALISE = """
-- KEYS: state, tracks, scores, explanations, latest, partial, past.
-- ARGV: token, epoch, end_ms, track, stream length, ttl s, nudge channel, may be a repeat of our own call (0/1), clock skews,
--       score, explanation, what it leaves for later windows ('' for nothing), of how many windows that is kept,
--       then fields and values of `latest`.
local token, epoch, end_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local seen = tonumber(redis.call('HGET', KEYS[1], 'token') or '0')
if token < seen then return 'fenced' end

local field, id = 'last:' .. ARGV[4], ARGV[2] .. '-' .. ARGV[3]
local last = redis.call('HGET', KEYS[1], field)
if last then
  local last_epoch, last_end, by = string.match(last, '^(%d+)-(%d+)-(%d+)$')
  last_epoch, last_end = tonumber(last_epoch), tonumber(last_end)
  if epoch < last_epoch or (epoch == last_epoch and end_ms <= last_end) then
    if token > seen then redis.call('HSET', KEYS[1], 'token', ARGV[1]) end
    local own = ARGV[8] == '1' and by == ARGV[1] and epoch == last_epoch and end_ms == last_end
    return own and 'accepted' or 'replayed'
  end
end

-- Streams refuse an id that is not above their last: that is a replay, too, should the state have been evicted.
local added = redis.pcall('XADD', KEYS[3], 'MAXLEN', '~', ARGV[5], id, 'record', ARGV[10])
if type(added) == 'table' and added.err then
  if string.find(added.err, 'equal or smaller', 1, true) then return 'replayed' end
  return added
end
redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[5], id, 'record', ARGV[11])
redis.call('DEL', KEYS[5])
redis.call('HSET', KEYS[5], unpack(ARGV, 14))
if ARGV[12] ~= '' then
  redis.call('LPUSH', KEYS[7], ARGV[12])
  redis.call('LTRIM', KEYS[7], 0, tonumber(ARGV[13]) - 1)
end
redis.call('SADD', KEYS[2], ARGV[4])
redis.call('HSET', KEYS[1], 'token', ARGV[1], field, id .. '-' .. ARGV[1], 'sync:' .. ARGV[4], ARGV[9])

local shown = redis.call('HMGET', KEYS[6], 'epoch', 'end_ms')
if shown[1] then
  local shown_epoch, shown_end = tonumber(shown[1]), tonumber(shown[2])
  if shown_epoch < epoch or (shown_epoch == epoch and shown_end <= end_ms) then redis.call('DEL', KEYS[6]) end
end
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[6]) end
redis.call('PUBLISH', ARGV[7], ARGV[4])
return 'accepted'
"""

BEGIN_EPOCH = """
-- KEYS: state. ARGV: declared epoch, zero ms, within ms, after, ttl s. Returns the fields of `state`.
-- One field for each media clock that got a number: epoch:EPOCH = DECLARED:ZERO.
local declared, zero, after = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[4])
local highest, known = math.max(after, declared - 1), false
local state = redis.call('HGETALL', KEYS[1])
for i = 1, #state, 2 do
  local epoch = string.match(state[i], '^epoch:(%d+)$')
  if epoch then
    local of, began = string.match(state[i + 1], '^(%d+):(-?%d+)$')
    known = known or (tonumber(epoch) > after and tonumber(of) == declared and tonumber(began) <= zero + tonumber(ARGV[3]))
  elseif string.sub(state[i], 1, 5) == 'last:' then
    epoch = string.match(state[i + 1], '^(%d+)-')
  end
  if epoch then highest = math.max(highest, tonumber(epoch)) end
end
if not known then
  redis.call('HSET', KEYS[1], 'epoch:' .. string.format('%d', highest + 1), ARGV[1] .. ':' .. ARGV[2])
  redis.call('EXPIRE', KEYS[1], ARGV[5])
end
return redis.call('HGETALL', KEYS[1])
"""

PUT_PARTIAL = """
-- KEYS: state, tracks, partial. ARGV: epoch, end_ms, track, ttl s, nudge channel, revision, record.
local epoch, end_ms = tonumber(ARGV[1]), tonumber(ARGV[2])
local function behind(other_epoch, other_end)
  other_epoch, other_end = tonumber(other_epoch), tonumber(other_end)
  return epoch < other_epoch or (epoch == other_epoch and end_ms < other_end)
end
local last = redis.call('HGET', KEYS[1], 'last:' .. ARGV[3])
if last then
  local last_epoch, last_end = string.match(last, '^(%d+)-(%d+)-')
  if behind(last_epoch, last_end + 1) then return 0 end
end
local shown = redis.call('HMGET', KEYS[3], 'epoch', 'end_ms')
if shown[1] and behind(shown[1], shown[2]) then return 0 end
redis.call('HSET', KEYS[3], 'epoch', ARGV[1], 'end_ms', ARGV[2], 'revision', ARGV[6], 'record', ARGV[7])
redis.call('SADD', KEYS[2], ARGV[3])
redis.call('EXPIRE', KEYS[2], ARGV[4])
redis.call('EXPIRE', KEYS[3], ARGV[4])
redis.call('PUBLISH', ARGV[5], ARGV[3])
return 1
"""

PUT_SUMMARY = """
-- KEYS: summary, state, tracks. ARGV: epoch, windows, ttl s, nudge channel, record.
-- A summary of fewer windows of the same epoch comes from a worker that was overtaken.
local epoch, windows = tonumber(ARGV[1]), tonumber(ARGV[2])
local held = redis.call('HMGET', KEYS[1], 'epoch', 'windows')
if held[1] then
  local held_epoch, held_windows = tonumber(held[1]), tonumber(held[2])
  if epoch < held_epoch or (epoch == held_epoch and windows < held_windows) then return 0 end
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'windows', ARGV[2], 'record', ARGV[5])
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[3]) end
redis.call('PUBLISH', ARGV[4], 'summary')
return 1
"""

NEXT_FENCE = """
-- KEYS: fence. Never below the server's clock (in microseconds), so that tokens go on rising even after Redis has lost its data.
local now = redis.call('TIME')
local clock = tonumber(now[1]) * 1000000 + tonumber(now[2])
local token = math.max(tonumber(redis.call('GET', KEYS[1]) or '0') + 1, clock)
local text = string.format('%.0f', token)
redis.call('SET', KEYS[1], text)
return text
"""
