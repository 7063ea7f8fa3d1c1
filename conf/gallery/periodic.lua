-- What the section's command brought, if it is of any use.
return function(channel, message, event)
	if message == "" then
		return nil
	end
	return message
end
