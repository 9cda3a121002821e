"""The Lua scripts that write results. Each runs in Redis as one atomic step, on keys of one hash slot.

Atomic means two things here: no reader sees half of a result, and of two workers that write at the same time, the second sees everything
that the first has written. Each script explains its steps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from redis.exceptions import NoScriptError

from stream.sinks.connection import RedisClient

Argument = bytes | str | int | float


class Script:
    """A script, which Redis keeps under the hash of its text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode("utf-8"), usedforsecurity=False).hexdigest()

    async def run(self, redis: RedisClient, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """Call the script. Where Redis does not know it (after a restart, or on another node of a cluster), it is sent along."""
        try:
            return await redis.evalsha(self.sha, len(keys), *keys, *args)
        except NoScriptError:
            return await redis.eval(self.text, len(keys), *keys, *args)


FINALISE = Script("""
-- Makes a window final, at most once. Returns 'accepted', 'replayed' or 'fenced'.
--
-- KEYS: 1 state, 2 tracks, 3 scores, 4 explanations, 5 latest, 6 partial, 7 context, 8 alerts.
-- ARGV: 1 token, 2 epoch, 3 end_ms, 4 track, 5 stream length, 6 ttl s, 7 nudge channel, 8 may this call be a repeat (0/1),
--       9 clock skews, 10 score, 11 explanation, 12 contribution to the context of later windows ('' for none),
--       13 number of contributions to keep, 14 version of the model, 15 what the scores of later windows are compared with ('' if the
--       window has no score), 16 state of the alert rules ('' if there are none), 17 number of alerts, from 18 on the alerts, and then
--       fields and values of `latest`.

-- 1. Check the fencing token. A worker that was frozen or cut off from Kafka does not know that another worker owns the session by now.
--    Its windows may lack chunks that only the new owner has read. Its token is lower than the new owner's, so it is refused.
local token, epoch, end_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local seen = tonumber(redis.call('HGET', KEYS[1], 'token') or '0')
if token < seen then return 'fenced' end

-- 2. Refuse a replay: a window that is not later than the track's last final window. The worker before crashed before it had
--    acknowledged the chunks, and this worker reads them again. Two exceptions to leaving everything as it is:
--    * The token is raised, so that the worker before is fenced off from now on, not only with the next new window.
--    * The caller may repeat a call whose answer was lost in an outage, although it took effect. If the last final window is this very
--      window, written under this very token, the answer is the lost one. Else a window that was published once would count as replayed.
--      The token is written again, so that the caller may wait until replicas have all of this (WAIT counts from the last write).
local field, id = 'last:' .. ARGV[4], ARGV[2] .. '-' .. ARGV[3]
local last = redis.call('HGET', KEYS[1], field)
if last then
  local last_epoch, last_end, by = string.match(last, '^(%d+)-(%d+)-(%d+)$')
  last_epoch, last_end = tonumber(last_epoch), tonumber(last_end)
  if epoch < last_epoch or (epoch == last_epoch and end_ms <= last_end) then
    if token > seen then redis.call('HSET', KEYS[1], 'token', ARGV[1]) end
    local own = ARGV[8] == '1' and by == ARGV[1] and epoch == last_epoch and end_ms == last_end
    if own then redis.call('HSET', KEYS[1], 'token', ARGV[1]) end
    return own and 'accepted' or 'replayed'
  end
end

-- 3. Append score and explanation to their streams, under the same id. A stream refuses an id that is not above its last id. That is a
--    replay as well, which step 2 misses if Redis has evicted the state but not the stream. pcall: the error must not end the script.
local added = redis.pcall('XADD', KEYS[3], 'MAXLEN', '~', ARGV[5], id, 'record', ARGV[10])
if type(added) == 'table' and added.err then
  if string.find(added.err, 'equal or smaller', 1, true) then return 'replayed' end
  return added
end
redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[5], id, 'record', ARGV[11])

-- 4. Append the window's alerts to the stream of the session. Windows of different tracks become final in any order, so this stream has
--    ids of its own, times of Redis. An alert comes once because its window does.
local first_field = 18 + tonumber(ARGV[17])
for i = 18, first_field - 1 do redis.call('XADD', KEYS[8], 'MAXLEN', '~', ARGV[5], '*', 'record', ARGV[i]) end

-- 5. Replace the newest final window. DEL first, so that no field of the window before is left.
redis.call('DEL', KEYS[5])
redis.call('HSET', KEYS[5], unpack(ARGV, first_field))

-- 6. Keep the contribution to the context of later windows. A worker that takes over needs it for exactly the windows that are final,
--    so it is written in the same step.
if ARGV[12] ~= '' then
  redis.call('LPUSH', KEYS[7], ARGV[12])
  redis.call('LTRIM', KEYS[7], 0, tonumber(ARGV[13]) - 1)
end

-- 7. Update the state: the highest token, the track's last final window with the token it was written under (see step 2), what a worker
--    that takes over continues with (the clock skews, the newest window that has a score, and the alert rules), and the epoch's version
--    of the model, in case Redis was emptied since it was pinned.
redis.call('SADD', KEYS[2], ARGV[4])
redis.call('HSET', KEYS[1], 'token', ARGV[1], field, id .. '-' .. ARGV[1], 'sync:' .. ARGV[4], ARGV[9])
if ARGV[15] ~= '' then redis.call('HSET', KEYS[1], 'scored:' .. ARGV[4], ARGV[15]) end
if ARGV[16] ~= '' then redis.call('HSET', KEYS[1], 'rules:' .. ARGV[4], ARGV[16]) end
redis.call('HSETNX', KEYS[1], 'model:' .. ARGV[2], ARGV[14])

-- 8. Remove the partial result of this window or of an earlier one: readers would take it for newer than the final window.
local partial = redis.call('HMGET', KEYS[6], 'epoch', 'end_ms')
if partial[1] then
  local partial_epoch, partial_end = tonumber(partial[1]), tonumber(partial[2])
  if partial_epoch < epoch or (partial_epoch == epoch and partial_end <= end_ms) then redis.call('DEL', KEYS[6]) end
end

-- 9. Renew the life of all keys together, so that no part of a session expires before the others.
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[6]) end

-- 10. Wake the readers, now that everything is written.
redis.call('PUBLISH', ARGV[7], ARGV[4])
return 'accepted'
""")

BEGIN_EPOCH = Script("""
-- Gives a media clock that has started again an epoch number, unless it has one. Returns the fields of `state`.
--
-- KEYS: 1 state. ARGV: 1 declared epoch, 2 media start (wall clock, ms), 3 tolerance ms, 4 epoch to which the clock does not belong,
--       5 ttl s.
-- An assignment is a field of `state`: epoch:EPOCH = DECLARED:MEDIA_START.

-- 1. Go through the state.
--    * Is the clock known? It is if an epoch after ARGV[4] has the same declared epoch and a media start that is not later, within the
--      tolerance. Workers that notice the same restart at different chunks so get the same number.
--    * Which is the highest epoch of all: assigned, declared, or with a final window?
local declared, media_start, after = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[4])
local highest, known = math.max(after, declared - 1), false
local state = redis.call('HGETALL', KEYS[1])
for i = 1, #state, 2 do
  local epoch = string.match(state[i], '^epoch:(%d+)$')
  if epoch then
    local other_declared, other_start = string.match(state[i + 1], '^(%d+):(-?%d+)$')
    local same = tonumber(other_declared) == declared and tonumber(other_start) <= media_start + tonumber(ARGV[3])
    known = known or (tonumber(epoch) > after and same)
  elseif string.sub(state[i], 1, 5) == 'last:' then
    epoch = string.match(state[i + 1], '^(%d+)-')
  end
  if epoch then highest = math.max(highest, tonumber(epoch)) end
end

-- 2. Assign the number above the highest epoch: FINALISE would refuse the windows of a lower one as replays.
if not known then
  redis.call('HSET', KEYS[1], 'epoch:' .. string.format('%d', highest + 1), ARGV[1] .. ':' .. ARGV[2])
  redis.call('EXPIRE', KEYS[1], ARGV[5])
end
return redis.call('HGETALL', KEYS[1])
""")

PIN_VERSION = Script("""
-- Pins an epoch to a version of the model, unless it is pinned. Returns the version that the epoch keeps.
--
-- KEYS: 1 state. ARGV: 1 epoch, 2 version, 3 ttl s.
local field = 'model:' .. ARGV[1]
redis.call('HSETNX', KEYS[1], field, ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return redis.call('HGET', KEYS[1], field)
""")

PUT_CONSENTS = Script("""
-- Keeps what was said about consent in an epoch, unless it is kept already. Returns the fields of `state`.
--
-- KEYS: 1 state. ARGV: 1 ttl s, from 2 on fields and the media times from which they hold.
for i = 2, #ARGV, 2 do redis.call('HSETNX', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return redis.call('HGETALL', KEYS[1])
""")

ERASE_STATE = Script("""
-- Replaces the state of a session by the note that it was erased.
--
-- KEYS: 1 state. ARGV: 1 wall clock of the erasure (Unix ms), 2 ttl s.

-- The token stays: it is a number, and fences off a worker that still holds something of the session.
local token = redis.call('HGET', KEYS[1], 'token')
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'erased', ARGV[1])
if token then redis.call('HSET', KEYS[1], 'token', token) end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
""")

PROMOTE = Script("""
-- Lets new epochs get a version of the model.
--
-- KEYS: 1 models. ARGV: 1 version, 2 version in force if none was ever promoted ('' for a rollback), 3 wall clock (Unix ms).

-- 1. What is in force already stays as it is: a repeated call must not make it its own predecessor.
local current = redis.call('HGET', KEYS[1], 'current') or ARGV[2]
if current == ARGV[1] then
  redis.call('HSETNX', KEYS[1], 'current', ARGV[1])
  return 0
end

-- 2. Keep the version before, for a rollback; a rollback itself has nothing to go back to.
if ARGV[2] == '' then current = '' end
redis.call('HSET', KEYS[1], 'current', ARGV[1], 'previous', current, 'at_ms', ARGV[3])
return 1
""")

PUT_PARTIAL = Script("""
-- Writes the partial result of an open window. Returns 1 if it is written, 0 if there is something newer.
--
-- KEYS: 1 state, 2 tracks, 3 partial. ARGV: 1 epoch, 2 end_ms, 3 track, 4 ttl s, 5 nudge channel, 6 revision, 7 record.
local epoch, end_ms = tonumber(ARGV[1]), tonumber(ARGV[2])
local function behind(other_epoch, other_end)
  other_epoch, other_end = tonumber(other_epoch), tonumber(other_end)
  return epoch < other_epoch or (epoch == other_epoch and end_ms < other_end)
end

-- 1. Drop it if this window or a later one is final (hence + 1): partial results are scored beside final ones and may be overtaken.
local last = redis.call('HGET', KEYS[1], 'last:' .. ARGV[3])
if last then
  local last_epoch, last_end = string.match(last, '^(%d+)-(%d+)-')
  if behind(last_epoch, last_end + 1) then return 0 end
end

-- 2. Drop it if there is a partial result of a later window. One of the same window is replaced.
local partial = redis.call('HMGET', KEYS[3], 'epoch', 'end_ms')
if partial[1] and behind(partial[1], partial[2]) then return 0 end

-- 3. Write it, and wake the readers. `state` is not written, so its life is not renewed.
redis.call('HSET', KEYS[3], 'epoch', ARGV[1], 'end_ms', ARGV[2], 'revision', ARGV[6], 'record', ARGV[7])
redis.call('SADD', KEYS[2], ARGV[3])
redis.call('EXPIRE', KEYS[2], ARGV[4])
redis.call('EXPIRE', KEYS[3], ARGV[4])
redis.call('PUBLISH', ARGV[5], ARGV[3])
return 1
""")

PUT_SUMMARY = Script("""
-- Writes the summary of an epoch. Returns 1 if it is written, 0 if there is a better one.
--
-- KEYS: 1 summary, 2 state, 3 tracks. ARGV: 1 epoch, 2 windows, 3 ttl s, 4 nudge channel, 5 record.

-- 1. Drop it if there is a summary of a later epoch, or of more windows of the same epoch. A summary of fewer windows comes from a worker
--    that no longer owns the session: it has counted the windows before the new owner had published the last.
local epoch, windows = tonumber(ARGV[1]), tonumber(ARGV[2])
local stored = redis.call('HMGET', KEYS[1], 'epoch', 'windows')
if stored[1] then
  local stored_epoch, stored_windows = tonumber(stored[1]), tonumber(stored[2])
  if epoch < stored_epoch or (epoch == stored_epoch and windows < stored_windows) then return 0 end
end

-- 2. Write it, renew the life of the session's keys, and wake the readers.
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'windows', ARGV[2], 'record', ARGV[5])
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[3]) end
redis.call('PUBLISH', ARGV[4], 'summary')
return 1
""")

NEXT_FENCE = Script("""
-- Takes the next fencing token: higher than any token before.
--
-- KEYS: 1 fence.

-- 1. Read the server's clock, in microseconds.
local now = redis.call('TIME')
local clock = tonumber(now[1]) * 1000000 + tonumber(now[2])

-- 2. Take the number after the last token, but at least the clock. So tokens go on rising if Redis loses the counter: if they began again
--    at 1, every session that still has its old token would fence off its new owner, for ever.
local token = math.max(tonumber(redis.call('GET', KEYS[1]) or '0') + 1, clock)

-- 3. Store and return it as text. Lua's own conversion keeps 14 digits only: two tokens could become equal.
local text = string.format('%.0f', token)
redis.call('SET', KEYS[1], text)
return text
""")

PROBE = Script("""
-- Calls every command of the other scripts once, to see whether the user may, and removes the keys again.
--
-- KEYS: 1 state, 2 scores. ARGV: 1 nudge channel. The keys belong to no session.
local state, scores = KEYS[1], KEYS[2]
redis.call('TIME')
redis.call('DEL', state, scores)
redis.call('SET', state, '1')
redis.call('GET', state)
redis.call('DEL', state)
redis.call('HSET', state, 'token', '1')
redis.call('HGET', state, 'token')
redis.call('HMGET', state, 'token')
redis.call('HGETALL', state)
redis.call('HSETNX', state, 'token', '1')
redis.call('EXPIRE', state, '60')
redis.call('XADD', scores, 'MAXLEN', '~', '10', '1-1', 'record', '')
redis.call('DEL', scores)
redis.call('SADD', scores, '1')
redis.call('DEL', scores)
redis.call('LPUSH', scores, '1')
redis.call('LTRIM', scores, 0, 0)
redis.call('LRANGE', scores, 0, 0)
redis.call('DEL', state, scores)
redis.call('PUBLISH', ARGV[1], 'probe')
return 1
""")
