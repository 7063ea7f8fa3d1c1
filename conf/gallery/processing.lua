-- Each order in a frame of its own, with the server's time.
return function(channel, message, event)
	return {event = "order", data = message, timestamp = now}
end
