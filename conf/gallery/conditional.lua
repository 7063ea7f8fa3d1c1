-- Only what is urgent.
return function(channel, message, event)
	if message.priority < 5 then
		return nil
	end
	return message
end
