-- Publish on a recorded channel: to its log and to who follows it, as one.
--
--	redis-cli --eval record.lua CHANNEL CHANNEL:log , MESSAGE 1000
--
-- KEYS are the channel and its log, with the configured prefix; ARGV the message and about how many
-- are kept. Gives the message's ID and the number of receivers. What is published is the byte 0x1E,
-- the ID, a line feed, and the message.
local id = redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'data', ARGV[1])
return {id, redis.call(ARGV[3] or 'PUBLISH', KEYS[1], '\30' .. id .. '\n' .. ARGV[1])}
