"""The Lua scripts of the webhooks' messages. Each runs in Redis as one atomic step; all keys share a hash tag."""

from __future__ import annotations

from stream.sinks.scripts import Script

LEASE = Script("""
-- Takes or renews the lease. Returns 1 if the caller has it now.
--
-- KEYS: 1 lease. ARGV: 1 caller, 2 life ms.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
""")

RELEASE = Script("""
-- Gives the lease back, if the caller has it. KEYS: 1 lease. ARGV: 1 caller.
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
""")

ADVANCE = Script("""
-- Adds messages and moves a session's position, in one step: so each result becomes a message once. Returns 0 if the caller has no lease.
--
-- KEYS: 1 lease, 2 positions, then four for each message: due, dead, messages, state.
-- ARGV: 1 caller, 2 session, 3 position, 4 now ms, 5 most messages that wait, then two for each message: id, message.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local now, most = tonumber(ARGV[4]), tonumber(ARGV[5])
for i = 0, (#KEYS - 2) / 4 - 1 do
  local due, dead, messages, state = unpack(KEYS, 3 + 4 * i, 6 + 4 * i)
  local id, message = ARGV[6 + 2 * i], ARGV[7 + 2 * i]
  if redis.call('HSETNX', messages, id, message) == 1 then
    -- A receiver that said that it is gone, or that has too many messages waiting, gets no more; they are dead letters at once.
    if redis.call('HEXISTS', state, 'gone_ms') == 1 or redis.call('ZCARD', due) >= most then
      redis.call('ZADD', dead, now, id)
    else
      redis.call('ZADD', due, now, id)
    end
  end
end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
return 1
""")

SETTLE = Script("""
-- Writes down what came of a message. Returns 0 if it is no longer there.
--
-- KEYS: 1 due, 2 dead, 3 messages, 4 state.
-- ARGV: 1 id, 2 outcome (delivered, later, dead, gone), 3 message as it is now, 4 next attempt or now (ms), 5 now ms, 6 what went wrong.
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
if ARGV[2] == 'delivered' then
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('HDEL', KEYS[3], ARGV[1])
  redis.call('HINCRBY', KEYS[4], 'delivered', 1)
  redis.call('HSET', KEYS[4], 'last_ok_ms', ARGV[5])
  return 1
end
redis.call('HSET', KEYS[4], 'last_error', ARGV[6], 'last_error_ms', ARGV[5])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
if ARGV[2] == 'later' then
  redis.call('ZADD', KEYS[1], ARGV[4], ARGV[1])
  return 1
end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[2], ARGV[5], ARGV[1])
if ARGV[2] == 'gone' then redis.call('HSET', KEYS[4], 'gone_ms', ARGV[5]) end
return 1
""")

PRUNE = Script("""
-- Deletes the oldest dead letters: those before a time, and those above a number. Returns how many.
--
-- KEYS: 1 dead, 2 messages, 3 state. ARGV: 1 time (ms), 2 most dead letters, 3 most to delete in this call.
local old = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
local above = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[2])
if #old == 0 and above > 0 then old = redis.call('ZRANGE', KEYS[1], 0, math.min(above, tonumber(ARGV[3])) - 1) end
for _, id in ipairs(old) do
  redis.call('ZREM', KEYS[1], id)
  redis.call('HDEL', KEYS[2], id)
end
if #old > 0 then redis.call('HINCRBY', KEYS[3], 'dropped', #old) end
return #old
""")

REPLAY = Script("""
-- Makes dead letters messages again that are sent at once, and lets the receiver get messages again. Returns how many.
--
-- KEYS: 1 due, 2 dead, 3 messages, 4 state. ARGV: 1 now ms, then pairs: id, message without its attempts.
local again = 0
for i = 2, #ARGV, 2 do
  if redis.call('ZREM', KEYS[2], ARGV[i]) == 1 then
    redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1])
    redis.call('ZADD', KEYS[1], ARGV[1], ARGV[i])
    again = again + 1
  end
end
redis.call('HDEL', KEYS[4], 'gone_ms')
return again
""")

ERASE = Script("""
-- Deletes messages. KEYS: 1 due, 2 dead, 3 messages. ARGV: ids.
for _, id in ipairs(ARGV) do
  redis.call('ZREM', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
  redis.call('HDEL', KEYS[3], id)
end
return #ARGV
""")
