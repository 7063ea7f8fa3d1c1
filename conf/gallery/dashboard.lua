-- The figures of a dashboard, from channels such as metrics:users.
return function(channel, message, event)
	return {
		metric = channel:sub(#"metrics:" + 1),
		value = message.value,
		timestamp = message.timestamp or now,
	}
end
