/**
 * Redis's commands, as `COMMAND` of Redis 7.0 tells them: `npm run commands` writes this file, and a test compares
 * it with a real server. How to read it: commands.ts.
 */
export const redisCommands = `
-: client command echo function function|list function|stats info lastsave memory object ping
publish pubsub role script spublish time wait xgroup xinfo
- 2#0+1/1: eval evalsha fcall
r: dbsize keys lolwut randomkey scan
r 1: bitcount bitfield_ro bitpos dump expiretime geodist geohash geopos georadiusbymember_ro
georadius_ro geosearch get getbit getrange hexists hget hgetall hkeys hlen hmget hrandfield hscan
hstrlen hvals lindex llen lpos lrange pexpiretime pttl scard sismember smembers smismember
srandmember sscan strlen substr ttl type xlen xpending xrange xrevrange zcard zcount zlexcount
zmscore zrandmember zrange zrangebylex zrangebyscore zrank zrevrange zrevrangebylex zrevrangebyscore
zrevrank zscan zscore
r 1 ?: sort_ro
r 1#0+1/1: sintercard zdiff zinter zintercard zunion
r 1..-1: exists mget pfcount sdiff sinter sunion touch
r 1..1: lcs
r 2: memory|usage object|encoding object|freq object|idletime object|refcount xinfo|consumers
xinfo|groups xinfo|stream
r 2#0+1/1: evalsha_ro eval_ro fcall_ro
rb streams@1..-1%2: xread
w: flushall flushdb function|delete function|load
w 1: append bitfield decr decrby expire expireat geoadd getdel getex getset hdel hincrby
hincrbyfloat hmset hset hsetnx incr incrby incrbyfloat linsert lpop lpush lpushx lrem lset ltrim
move persist pexpire pexpireat pfadd psetex restore rpop rpush rpushx sadd set setbit setex setnx
setrange spop srem xack xadd xautoclaim xclaim xdel xsetid xtrim zadd zincrby zpopmax zpopmin zrem
zremrangebylex zremrangebyrank zremrangebyscore
w 1 2: copy geosearchstore lmove rename renamenx rpoplpush smove zrangestore
w 1 2#0+1/1: zdiffstore zinterstore zunionstore
w 1 2..-1: pfmerge sdiffstore sinterstore sunionstore
w 1 ? ?: sort
w 1 store@5 storedist@5: georadiusbymember
w 1 store@6 storedist@6: georadius
w 1#0+1/1: lmpop zmpop
w 1..-1: del unlink
w 1..-1/2: mset msetnx
w 2: xgroup|create xgroup|createconsumer xgroup|delconsumer xgroup|destroy xgroup|setid
w 2 3..-1: bitop
wb 1 2: blmove brpoplpush
wb 1..-2: blpop brpop bzpopmax bzpopmin
wb 2#0+1/1: blmpop bzmpop
wb streams@4..-1%2: xreadgroup
`;
