<?php

/**
 * A broadcasting driver for Laravel: events are kept in a log beside each channel, so that a page that comes back gets what it missed,
 * and /broadcasting/auth answers with a signed link to the stream. Beside it stands bridges/php/Sluice.php.
 *
 * AppServiceProvider::boot():
 *
 *	Broadcast::extend('sluice', fn ($app, $config) => new SluiceBroadcaster(
 *		new Sluice($app['redis']->connection($config['connection'] ?? null)->client()), $config));
 *
 * config/broadcasting.php, 'connections':
 *
 *	'sluice' => ['driver' => 'sluice', 'key' => env('SLUICE_LINK_KEY'), 'base' => '/events/broadcast', 'record' => 200, 'ttl' => 300],
 *
 * sluice.ini:
 *
 *	[route broadcast]
 *	path = /broadcast/{kind}/{name}
 *	param.kind = private|presence
 *	channels = broadcast:{kind}:{name}
 *	record = 200
 *	event = {.event}
 *	transform = message.data
 *	auth = signed
 *
 * In a Redis Cluster a channel and its log belong together: 'cluster' => true in config/broadcasting.php, and in sluice.ini
 *
 *	channels = broadcast:{{{kind}:{name}}}
 *
 * With `sharded = yes` the Sluice above is made so: new Sluice($client, sharded: true).
 */

use Illuminate\Broadcasting\Broadcasters\Broadcaster;
use Illuminate\Broadcasting\Broadcasters\UsePusherChannelConventions;
use Symfony\Component\HttpKernel\Exception\AccessDeniedHttpException;

final class SluiceBroadcaster extends Broadcaster
{
	use UsePusherChannelConventions;

	public function __construct(private Sluice $sluice, private array $config)
	{
	}

	/** May this user follow the channel? By the callbacks of routes/channels.php. */
	public function auth($request)
	{
		$name = $this->normalizeChannelName((string) $request->channel_name);

		if ($name === '' || ($this->isGuardedChannel($request->channel_name) && !$this->retrieveUser($request, $name))) {
			throw new AccessDeniedHttpException;
		}
		return $this->verifyUserCanAccessChannel($request, $name);
	}

	/** The address that the page opens: new EventSource(link). */
	public function validAuthenticationResponse($request, $result)
	{
		$name = $this->normalizeChannelName($request->channel_name);
		// The link is for the very name that was judged: of "room?" and "r%6Fom" none is "room".
		$path = ($this->config['base'] ?? '/events/broadcast') . '/' . implode('/', array_map(rawurlencode(...), explode(':', self::place($request->channel_name), 2)));
		$user = (string) $this->retrieveUser($request, $name)->getAuthIdentifier();

		return ['link' => Sluice::signLink($path, $this->config['key'], $this->config['ttl'] ?? 300, $user)];
	}

	public function broadcast(array $channels, $event, array $payload = [])
	{
		unset($payload['socket']);
		foreach ($this->formatChannels($channels) as $channel) {
			$place = self::place($channel);
			$this->sluice->record('broadcast:' . (($this->config['cluster'] ?? false) ? "{{$place}}" : $place), ['event' => $event, 'data' => $payload], $this->config['record'] ?? 200);
		}
	}

	/** private-orders.7 is private:orders.7: so that no public channel can be called as a private one is. */
	private static function place(string $channel): string
	{
		return preg_match('/^(private|presence)-(.+)\z/s', $channel, $part) ? "$part[1]:$part[2]" : "public:$channel";
	}
}
