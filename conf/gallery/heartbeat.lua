-- Messages as they are, and a heartbeat when none came for half a minute. event:after() begins
-- anew each time, and it begins with the feed.
event:after(30000)

return function(channel, message, event)
	event:after(30000)
	if message == nil then
		return {type = "heartbeat", timestamp = now}
	end
	return message
end
