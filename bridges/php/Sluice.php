<?php
/**
 * What a PHP site says to Sluice, without dependencies: publish, sign a link, make a token, end a user's streams, and know where
 * a page that is rendered now must begin.
 *
 *	$r = new Redis(); $r->connect('127.0.0.1');          // phpredis, or: new Predis\Client()
 *	$sluice = new Sluice($r);
 *	$sluice->emit('job:42:progress', ['percent' => 40]);
 *
 * Names are those of the channels, with `prefix` of sluice.ini put before them here. A prefix that the Redis library is told to
 * use has no effect.
 */
final class Sluice
{
	private const RECORD = <<<'LUA'
		local id = redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'data', ARGV[1])
		return {id, redis.call(ARGV[3], KEYS[1], '\30' .. id .. '\n' .. ARGV[1])}
		LUA;

	private object $redis;
	private string $prefix;
	private string $publish;

	/** $redis: phpredis's Redis or RedisCluster, or a Predis\Client; $sharded: that of sluice.ini. */
	public function __construct(object $redis, string $prefix = '', bool $sharded = false)
	{
		$this->redis = $redis;
		$this->prefix = $prefix;
		$this->publish = $sharded ? 'SPUBLISH' : 'PUBLISH';
	}

	/** On a channel. Gives how many workers of Sluice heard it. */
	public function emit(string $channel, mixed $value): int
	{
		return (int) $this->command($this->publish, $this->prefix . $channel, self::json($value));
	}

	/** To a stream (`streams = …`), of which about $most entries are kept. Gives the entry's id. */
	public function emitStream(string $stream, mixed $value, int $most = 1000): string
	{
		return $this->command('XADD', $this->prefix . $stream, 'MAXLEN', '~', (string) $most, '*', 'data', self::json($value));
	}

	/** On a recorded channel (`record = …`), which keeps about $most. Gives the message's id. In a cluster it needs a hash tag: 'room:{7}'. */
	public function record(string $channel, mixed $value, int $most = 1000): string
	{
		$name = $this->prefix . $channel;
		return $this->command('EVAL', self::RECORD, '2', $name, "$name:log", self::json($value), (string) $most, $this->publish)[0];
	}

	/**
	 * The id behind which a page that is rendered now must follow a route: say it as last_event_id, or as `from` of the client
	 * library. Name the route's streams in its order; of a recorded channel its log, as in 'room:a:log'. Ask before you query
	 * the database. (For routes whose streams are named by {user} or a claim ask `sluice cursor`.)
	 */
	public function cursor(string ...$streams): string
	{
		return implode(',', array_map(fn ($stream) => $this->lastId($this->prefix . $stream), $streams));
	}

	/** Ends the streams of a user, to be judged anew when they are back; $channel is `kick` of sluice.ini. */
	public function kick(string $user, string $channel = 'sluice:kick'): void
	{
		$this->command($this->publish, $this->prefix . $channel, "user:$user");
	}

	/**
	 * A link for `auth = signed`: $path as the browser will ask for it, so escape what users have named: rawurlencode($name), for
	 * "room?" would be "room". It may read, or with $may = 'publish' publish.
	 */
	public static function signLink(string $path, string $key, int $ttl = 3600, ?string $user = null, ?string $may = null): string
	{
		$what = array_filter(['expires' => time() + $ttl, 'user' => $user, 'may' => $may], fn ($value) => $value !== null);
		$link = $path . (str_contains($path, '?') ? '&' : '?') . http_build_query($what, '', '&', PHP_QUERY_RFC3986);
		return "$link&signature=" . hash_hmac('sha256', $link, $key);
	}

	/** A token for `auth = jwt` with jwt_key. */
	public static function token(string $user, string $key, int $ttl = 3600, array $claims = []): string
	{
		$parts = array_map(fn ($part) => self::base64(self::json($part)),
			[['alg' => 'HS256', 'typ' => 'JWT'], ['sub' => $user, 'exp' => time() + $ttl] + $claims]);
		$text = implode('.', $parts);
		return $text . '.' . self::base64(hash_hmac('sha256', $text, $key, true));
	}

	private function lastId(string $stream): string
	{
		if (!$this->command('EXISTS', $stream)) {
			return '0-0';
		}
		$said = $this->command('XINFO', 'STREAM', $stream);
		return $said[array_search('last-generated-id', $said, true) + 1];
	}

	private function command(string ...$words): mixed
	{
		if (method_exists($this->redis, 'getConnection') && method_exists($this->redis->getConnection(), 'getClusterStrategy')) {
			return $this->commandOfPredisCluster($words);
		}
		if (method_exists($this->redis, 'executeRaw')) {
			$answer = $this->redis->executeRaw($words, $failed);
			if ($failed) {
				throw new RuntimeException("Redis: $answer");
			}
			return $answer;
		}
		$where = $this->redis instanceof RedisCluster ? [self::keyOf($words)] : [];
		$answer = $this->redis->rawCommand(...$where, ...$words);
		if ($answer === false && ($error = $this->redis->getLastError()) !== null) {
			$this->redis->clearLastError();
			throw new RuntimeException("Redis: $error");
		}
		return $answer;
	}

	/** The first key: by it the cluster's node is found. */
	private static function keyOf(array $words): string
	{
		return $words[['EVAL' => 3, 'XINFO' => 2][$words[0]] ?? 1];
	}

	/** Which does not know where most commands have their keys. */
	private function commandOfPredisCluster(array $words): mixed
	{
		$command = Predis\Command\RawCommand::create(...$words);
		$command->setSlot($this->redis->getConnection()->getClusterStrategy()->getSlotByKey(self::keyOf($words)));
		try {
			$answer = $this->redis->executeCommand($command);
		} catch (Predis\Response\ServerException $e) {
			throw new RuntimeException("Redis: {$e->getMessage()}", 0, $e);
		}
		return $answer instanceof Predis\Response\Status ? (string) $answer : $answer;
	}

	private static function json(mixed $value): string
	{
		return json_encode($value, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_PRESERVE_ZERO_FRACTION | JSON_THROW_ON_ERROR);
	}

	private static function base64(string $bytes): string
	{
		return rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
	}
}
