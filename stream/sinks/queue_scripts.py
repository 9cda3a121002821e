"""The Lua scripts of the moderation queue. Each runs in Redis as one atomic step, on keys of one tenant."""

from __future__ import annotations

from stream.sinks.scripts import Script

ADD_CASE = Script("""
-- Adds a raised alert to the queue, at most once. Returns 'added', 'known', 'old' or 'full'.
--
-- KEYS: 1 alerts, 2 added, 3 waiting, 4 left_out.
-- ARGV: 1 alert id, 2 record, 3 rank of its severity (0 comes first), 4 when it was raised (Unix ms; '' for now), 5 most cases,
--       6 retention ms.
local now = redis.call('TIME')
local now_ms = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)

-- 1. Every gateway feeds every alert, and again after a restart.
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return 'known' end

-- 2. A media clock that is ahead must not put a case behind all later ones. What is older than the retention was removed before.
local raised_ms = math.min(tonumber(ARGV[4]) or now_ms, now_ms)
if raised_ms < now_ms - tonumber(ARGV[6]) then return 'old' end

-- 3. A rule that fires without end must not fill the memory. What is left out is noted, each alert once.
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[5]) then
  redis.call('PFADD', KEYS[4], ARGV[1])
  redis.call('EXPIRE', KEYS[4], math.ceil(tonumber(ARGV[6]) / 1000))
  return 'full'
end

-- 4. Severity, then age, in one number below 2^53: ranks are 2^43 apart, more than any Unix time in ms.
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], string.format('%.0f', raised_ms), ARGV[1])
redis.call('ZADD', KEYS[3], string.format('%.0f', tonumber(ARGV[3]) * 8796093022208 + raised_ms), ARGV[1])
return 'added'
""")

CLEAR_CASE = Script("""
-- Marks the case whose condition has ended. Returns 1 if it is marked now.
--
-- KEYS: 1 alerts, 2 cleared. ARGV: 1 id of the alert that was raised, 2 when its condition ended (Unix ms; '' for now).
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
local at = ARGV[2]
if at == '' then
  local now = redis.call('TIME')
  at = string.format('%.0f', tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000))
end
return redis.call('HSETNX', KEYS[2], ARGV[1], at)
""")

CHANGE_CASE = Script("""
-- Changes what people have done about a case, and writes the entry of the audit trail, both or neither. Returns 'changed', 'moved' if
-- the trail has grown since it was read, 'gone' if there is no such case, or 'published' if a decision can no longer be withdrawn.
--
-- KEYS: 1 alerts, 2 statuses, 3 waiting, 4 claims, 5 snoozes, 6 decided, 7 unpublished, 8 audit, 9 trail, 10 added.
-- ARGV: 1 alert id, 2 sequence of the new entry, 3 hash of the entry before, 4 the new entry, 5 its hash, 6 status, 7 end of the claim
--       ('' for none), 8 end of the snooze ('' for none), 9 when it was decided ('' if it is not), 10 when the decision may be published,
--       11 rank of the alert's severity, 12 whether this withdraws a decision (0/1).
local id = ARGV[1]
if redis.call('HEXISTS', KEYS[1], id) == 0 then return 'gone' end

-- 1. Every change writes an entry. So if the trail still ends where the caller has read it, the case is as the caller has read it.
local sequence = tonumber(redis.call('HGET', KEYS[9], 'sequence') or '0')
if sequence + 1 ~= tonumber(ARGV[2]) then return 'moved' end
if sequence > 0 and redis.call('HGET', KEYS[9], 'hash') ~= ARGV[3] then return 'moved' end

-- 2. A decision that may be published is as good as published: the relay is perhaps just sending it.
if ARGV[12] == '1' then
  local now = redis.call('TIME')
  local due = redis.call('ZSCORE', KEYS[7], id)
  if not due or tonumber(due) <= tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000) then return 'published' end
  redis.call('ZREM', KEYS[7], id)
end

-- 3. Append the entry. The id of a stream entry must rise, so an entry that was removed cannot be written again.
local added = redis.pcall('XADD', KEYS[8], ARGV[2] .. '-0', 'entry', ARGV[4])
if type(added) == 'table' and added.err then return added end
redis.call('HSET', KEYS[9], 'sequence', ARGV[2], 'hash', ARGV[5])

-- 4. Change the case.
redis.call('HSET', KEYS[2], id, ARGV[6])
if ARGV[7] == '' then redis.call('ZREM', KEYS[4], id) else redis.call('ZADD', KEYS[4], ARGV[7], id) end
if ARGV[8] == '' then redis.call('ZREM', KEYS[5], id) else redis.call('ZADD', KEYS[5], ARGV[8], id) end
if ARGV[9] == '' then
  redis.call('ZREM', KEYS[6], id)
  local raised_ms = tonumber(redis.call('ZSCORE', KEYS[10], id) or '0')
  redis.call('ZADD', KEYS[3], string.format('%.0f', tonumber(ARGV[11]) * 8796093022208 + raised_ms), id)
else
  redis.call('ZREM', KEYS[3], id)
  redis.call('ZADD', KEYS[6], ARGV[9], id)
  if ARGV[10] ~= '' then redis.call('ZADD', KEYS[7], ARGV[10], id) end
end
return 'changed'
""")

REMOVE_CASES = Script("""
-- Removes cases, with an entry in the audit trail ('' for none). Returns 'changed' or 'moved'.
--
-- KEYS: 1 audit, 2 trail, 3 to 5 hashes, then sorted sets. ARGV: 1 sequence of the new entry, 2 hash of the entry before, 3 the new
--       entry, 4 its hash, from 5 on alert ids.
if ARGV[3] ~= '' then
  local sequence = tonumber(redis.call('HGET', KEYS[2], 'sequence') or '0')
  if sequence + 1 ~= tonumber(ARGV[1]) or (sequence > 0 and redis.call('HGET', KEYS[2], 'hash') ~= ARGV[2]) then return 'moved' end
  local added = redis.pcall('XADD', KEYS[1], ARGV[1] .. '-0', 'entry', ARGV[3])
  if type(added) == 'table' and added.err then return added end
  redis.call('HSET', KEYS[2], 'sequence', ARGV[1], 'hash', ARGV[4])
end
for i = 5, #ARGV do
  for key = 3, 5 do redis.call('HDEL', KEYS[key], ARGV[i]) end
  for key = 6, #KEYS do redis.call('ZREM', KEYS[key], ARGV[i]) end
end
return 'changed'
""")

TRIM_TRAIL = Script("""
-- Removes the oldest entries of a trail that is full, and notes where it was cut, which is itself an entry. Returns 'changed' or 'moved'.
--
-- KEYS: 1 audit, 2 trail. ARGV: 1 sequence of the new entry, 2 hash of the entry before, 3 the new entry, 4 its hash,
--       5 sequence of the newest entry to remove, 6 its hash.
local sequence = tonumber(redis.call('HGET', KEYS[2], 'sequence') or '0')
if sequence + 1 ~= tonumber(ARGV[1]) or redis.call('HGET', KEYS[2], 'hash') ~= ARGV[2] then return 'moved' end
redis.call('XADD', KEYS[1], ARGV[1] .. '-0', 'entry', ARGV[3])
redis.call('XTRIM', KEYS[1], 'MINID', string.format('%d-0', tonumber(ARGV[5]) + 1))
redis.call('HSET', KEYS[2], 'sequence', ARGV[1], 'hash', ARGV[4], 'cut', ARGV[5], 'cut_hash', ARGV[6])
return 'changed'
""")

READ_CASES = Script("""
-- Returns the time (Unix ms), sequence and hash of the newest entry of the trail, the sequence and hash where it was cut, and for each
-- alert id: record, status, when it was cleared, when it was raised, whether its decision is unpublished (each '' where there is none).
--
-- KEYS: 1 alerts, 2 statuses, 3 cleared, 4 added, 5 unpublished, 6 trail. ARGV: alert ids.
local now = redis.call('TIME')
local trail = redis.call('HMGET', KEYS[6], 'sequence', 'hash', 'cut', 'cut_hash')
local answer = {string.format('%.0f', tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000))}
for i = 1, 4 do answer[#answer + 1] = trail[i] or '' end
for _, id in ipairs(ARGV) do
  for key = 1, 3 do answer[#answer + 1] = redis.call('HGET', KEYS[key], id) or '' end
  for key = 4, 5 do answer[#answer + 1] = redis.call('ZSCORE', KEYS[key], id) or '' end
end
return answer
""")

LIST_CASES = Script("""
-- Returns alert ids of one state with their places in its order: id, place, id, place …
--
-- KEYS: 1 waiting, 2 claims, 3 snoozes, 4 decided. ARGV: 1 state, 2 first place, 3 id at that place after which to begin ('' for none),
--       4 last place, 5 most ids.
local now = redis.call('TIME')
local now_ms = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
local function state_of(id)
  local claimed, snoozed = redis.call('ZSCORE', KEYS[2], id), redis.call('ZSCORE', KEYS[3], id)
  if claimed and tonumber(claimed) > now_ms then return 'claimed' end
  if snoozed and tonumber(snoozed) > now_ms then return 'snoozed' end
  return 'open'
end

-- Cases of one place are in the order of their ids; of decided ones, the newest come first, so their places are negative.
local decided = ARGV[1] == 'decided'
local found, offset, size = {}, 0, 500
while #found < tonumber(ARGV[5]) * 2 do
  local page
  if decided then
    local first = ARGV[2] == '-inf' and '+inf' or string.format('%.0f', -tonumber(ARGV[2]))
    page = redis.call('ZREVRANGEBYSCORE', KEYS[4], first, '-inf', 'WITHSCORES', 'LIMIT', offset, size)
  else
    page = redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[2], ARGV[4], 'WITHSCORES', 'LIMIT', offset, size)
  end
  for i = 1, #page, 2 do
    local id, place = page[i], tonumber(page[i + 1])
    if decided then place = -place end
    local before = false
    if ARGV[3] ~= '' and place == tonumber(ARGV[2]) then
      if decided then before = id >= ARGV[3] else before = id <= ARGV[3] end
    end
    if not before and (decided or state_of(id) == ARGV[1]) and #found < tonumber(ARGV[5]) * 2 then
      found[#found + 1] = id
      found[#found + 1] = string.format('%.0f', place)
    end
  end
  if #page < size * 2 then break end
  offset = offset + size
end
return found
""")

COUNT_CASES = Script("""
-- Returns the numbers of waiting, claimed, snoozed, decided, unpublished and left out cases, of cases raised in the last hour, and the age
-- of the oldest open case (ms; -1 if none is open).
--
-- KEYS: 1 waiting, 2 claims, 3 snoozes, 4 decided, 5 unpublished, 6 added, 7 left_out. ARGV: 1 number of severities.
local now = redis.call('TIME')
local now_ms = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
local after = string.format('(%.0f', now_ms)
local function busy(id)
  for key = 2, 3 do
    local till = redis.call('ZSCORE', KEYS[key], id)
    if till and tonumber(till) > now_ms then return true end
  end
  return false
end

-- Within a severity, cases are in the order of their age.
local oldest = -1
for rank = 0, tonumber(ARGV[1]) - 1 do
  local first, last = rank * 8796093022208, (rank + 1) * 8796093022208 - 1
  local offset, open = 0, nil
  while not open do
    local page = redis.call('ZRANGEBYSCORE', KEYS[1], string.format('%.0f', first), string.format('%.0f', last), 'WITHSCORES', 'LIMIT',
                            offset, 100)
    for i = 1, #page, 2 do
      if not open and not busy(page[i]) then open = tonumber(page[i + 1]) - first end
    end
    if #page < 200 then break end
    offset = offset + 100
  end
  if open then oldest = math.max(oldest, now_ms - open) end
end
return {
  redis.call('ZCARD', KEYS[1]), redis.call('ZCOUNT', KEYS[2], after, '+inf'), redis.call('ZCOUNT', KEYS[3], after, '+inf'),
  redis.call('ZCARD', KEYS[4]), redis.call('ZCARD', KEYS[5]), redis.call('PFCOUNT', KEYS[7]),
  redis.call('ZCOUNT', KEYS[6], string.format('%.0f', now_ms - 3600000), '+inf'), oldest,
}
""")
