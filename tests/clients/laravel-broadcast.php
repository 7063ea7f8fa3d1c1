<?php
// Laravel's broadcasting by its own classes, with the driver of bridges/laravel, and with Laravel's own driver "redis":
//
//	php laravel-broadcast.php SOCKET KEY
$bridges = getenv('TREE') . '/bridges';
foreach (['Broadcasting', 'Redis', 'Support', 'Container', 'Collections'] as $part)
	require_once "/usr/share/php/Illuminate/$part/autoload.php";
require_once "$bridges/php/Sluice.php";
require_once "$bridges/laravel/SluiceBroadcaster.php";

use Illuminate\Broadcasting\Broadcasters\RedisBroadcaster;
use Illuminate\Broadcasting\Channel;
use Illuminate\Broadcasting\PrivateChannel;
use Illuminate\Redis\RedisManager;

[, $socket, $key] = $argv;
$redis = new RedisManager(null, 'phpredis', ['options' => ['prefix' => 'laravel_database_'], 'default' => ['host' => $socket, 'port' => 0, 'database' => 0]]);
$driver = new SluiceBroadcaster(new Sluice($redis->connection()->client()), ['key' => $key, 'record' => 50]);
$driver->channel('orders.{id}', fn ($user, $id) => $user->id === 7 && $id === '9');

$driver->channel('rooms.{room}', fn ($user, $room) => $room !== 'board');

/** What the driver asks of a request and of a user. */
function request(int $id, string $channel): object
{
	$user = new class($id) {
		public function __construct(public int $id) {}
		public function getAuthIdentifier() { return $this->id; }
	};
	return new class($user, $channel) {
		public function __construct(private object $who, public string $channel_name) {}
		public function user($guard = null) { return $this->who; }
	};
}

$said = ['link' => $driver->auth(request(7, 'private-orders.9'))['link'], 'refused' => []];
foreach (['board?', '%62oard', 'board#', 'board:x', 'board/x'] as $room)
	$said['rooms'][] = [$room, $driver->auth(request(7, "private-rooms.$room"))['link']];
foreach ([[8, 'private-orders.9'], [7, 'private-orders.10'], [7, 'private-other.9'], [7, '']] as [$user, $channel]) {
	try {
		$driver->auth(request($user, $channel));
	} catch (Symfony\Component\HttpKernel\Exception\AccessDeniedHttpException $e) {
		$said['refused'][] = $channel;
	}
}
$channels = [new PrivateChannel('orders.9'), new Channel('news')];
$driver->broadcast($channels, 'OrderShipped', ['order' => ['id' => 9], 'socket' => null]);
$settings = ['key' => $key, 'record' => 50, 'cluster' => true];
(new SluiceBroadcaster(new Sluice($redis->connection()->client(), sharded: true), $settings))->broadcast($channels, 'OrderShipped', ['order' => ['id' => 9]]);
(new RedisBroadcaster($redis, null, 'laravel_database_'))->broadcast($channels, 'OrderShipped', ['order' => ['id' => 9]]);
echo json_encode($said);
