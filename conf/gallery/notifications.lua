-- What one user is to be told, with the server's time.
return function(channel, message, event)
	message.server_time = now
	return message
end
