---@meta
--- What the broker gives to scripts, for editors. Nothing here is ever run; docs/lua-api.md says it in words.

--------------------------------------------------------------------------------
-- The plugin's table

---@class yutu.Plugin
---@field api 1
---@field about? string one line
---@field enabled? boolean false: waits for the operator
---@field settings? table<string, yutu.Setting>
---@field on_error? yutu.OnError|table<string, yutu.OnError> by hook: `{ publish = "pass", authorize = "allow" }`
---@field limits? { milliseconds?: number, instructions?: integer, memory?: integer }
---@field exchange? yutu.ExchangeType
---@field matcher? yutu.Matcher
---@field authenticate? fun(login: yutu.Login): yutu.Verdict?
---@field sasl? table<string, fun(login: yutu.Login): yutu.Verdict?> by the mechanism's name
---@field authorize? fun(request: yutu.Request): yutu.Verdict?
---@field filters? { publish?: yutu.Filter, enqueue?: yutu.Filter, deliver?: yutu.Filter }
---@field declare? fun(kind: "queue"|"exchange", definition: yutu.Definition): yutu.Verdict?
---@field dead_letter? fun(message: yutu.Message, death: yutu.Death): yutu.Verdict?
---@field events? yutu.Events
---@field timers? yutu.Timer[]
---@field save? fun(): any plain data, for the next version's `restore`
---@field restore? fun(state: any)

---@alias yutu.OnError "deny"|"allow"|"refuse"|"pass"

---@class yutu.Setting
---@field default any
---@field about? string
---@field type? "string"|"number"|"integer"|"boolean"|"list"|"table" the default's if not said
---@field min? number
---@field max? number
---@field one_of? any[]

---@class yutu.ExchangeType
---@field pure? string[] `{ "routing_key" }`: the key alone decides
---@field validate? fun(exchange: yutu.Exchange): yutu.Verdict?
---@field bind? fun(binding: yutu.Binding): any what is kept with the binding, or `deny(text)`
---@field prepare? fun(bindings: yutu.Bindings): any
---@field route fun(message: yutu.Message, bindings: yutu.Bindings, index: any): any

---@class yutu.Matcher
---@field bind? fun(arguments: table<string, any>): any what to keep, or `deny(text)`
---@field match fun(headers: table<string, any>, kept: any): boolean?

---@class yutu.Filter
---@field match? yutu.Match|fun(settings: table<string, any>): yutu.Match|false|nil a function is asked once, at load
---@field order? number
---@field run fun(message: yutu.Message): yutu.Verdict?

--- Globs (`*`, `?`) or lists of them.
---@class yutu.Match
---@field vhost? string|string[]
---@field exchange? string|string[] publish only
---@field queue? string|string[] enqueue and deliver only

---@class yutu.Timer
---@field every number seconds, at least 0.1
---@field run fun()

--------------------------------------------------------------------------------
-- What hooks are given

---@class yutu.Exchange
---@field name string
---@field type string
---@field vhost string
---@field durable boolean
---@field auto_delete boolean
---@field internal boolean
---@field arguments table<string, any>

--- Valid during the call.
---@class yutu.Message
---@field exchange string
---@field routing_key string
---@field headers table<string, any>
---@field body string
---@field size integer
---@field vhost string
---@field user string who published; on deliver, who consumes
---@field identity? table what `allow{ as = … }` gave
---@field redelivered boolean
---@field delayed? integer milliseconds, after a `delay`
---@field queue? string enqueue, deliver, dead_letter
---@field content_type? string
---@field content_encoding? string
---@field delivery_mode? integer
---@field priority? integer
---@field correlation_id? string
---@field reply_to? string
---@field expiration? string
---@field message_id? string
---@field timestamp? integer seconds
---@field type? string
---@field user_id? string
---@field app_id? string
---@field cluster_id? string

---@class yutu.Binding
---@field key string
---@field routing_key string the same
---@field destination string
---@field destination_kind "queue"|"exchange"
---@field arguments table<string, any>
---@field exchange yutu.Exchange
---@field is_new boolean a client binds just now
---@field index integer

---@class yutu.Bindings
---@field exchange yutu.Exchange
---@operator len: integer
local bindings = {}
---@return fun(): yutu.Binding, any
function bindings:each() end
---@param key string
---@return yutu.Selection
function bindings:key(key) end
---@param key string
---@return yutu.Selection
function bindings:topic(key) end
---@param headers? table<string, any> the message's own if absent
---@return yutu.Selection
function bindings:headers(headers) end
---@return yutu.Selection
function bindings:all() end
--- One binding, weighted by what `bind` kept if that is a number, or its `weight`.
---@param value string|number
---@return yutu.Binding?
function bindings:hash(value) end

--- Valid during the call.
---@class yutu.Selection
---@operator len: integer
---@field [integer] yutu.Binding
local selection = {}
---@return fun(): yutu.Binding, any
function selection:each() end

---@class yutu.Peer
---@field address string
---@field port integer
---@field loopback boolean

---@class yutu.Login
---@field mechanism string
---@field user? string `PLAIN`, `AMQPLAIN`
---@field password? string `PLAIN`, `AMQPLAIN`
---@field response string as sent
---@field peer yutu.Peer
---@field tls? { subject: string, names: string[] }
---@field client table<string, any> the client's properties

---@class yutu.Request
---@field user string
---@field tags string[]
---@field identity? table
---@field peer yutu.Peer
---@field vhost string
---@field operation "connect"|"configure"|"write"|"read"
---@field resource "vhost"|"queue"|"exchange"|"topic"
---@field name string
---@field routing_key? string for "topic", whose name is the exchange

---@class yutu.Definition
---@field vhost string
---@field name string
---@field type? string exchanges
---@field durable boolean
---@field auto_delete boolean
---@field exclusive? boolean queues
---@field internal? boolean exchanges
---@field arguments table<string, any>
---@field user string
---@field identity? table

---@class yutu.Death
---@field queue string
---@field reason "rejected"|"expired"|"maxlen"|"delivery_limit"
---@field count integer with this one

---@class yutu.Events
---@field connection_opened? fun(event: yutu.ConnectionEvent)
---@field connection_closed? fun(event: yutu.ConnectionEvent)
---@field queue_created? fun(event: yutu.QueueEvent)
---@field queue_deleted? fun(event: yutu.QueueEvent)
---@field exchange_created? fun(event: yutu.ExchangeEvent)
---@field exchange_deleted? fun(event: yutu.ExchangeEvent)
---@field message_dropped? fun(event: yutu.DropEvent)
---@field alarm_raised? fun(event: { name: string })
---@field alarm_cleared? fun(event: { name: string })

---@class yutu.ConnectionEvent
---@field peer yutu.Peer
---@field user string
---@field vhost string
---@field client table<string, any>
---@field reason? string closed

---@class yutu.QueueEvent
---@field vhost string
---@field name string
---@field durable boolean
---@field auto_delete boolean
---@field exclusive boolean
---@field arguments table<string, any>

---@class yutu.ExchangeEvent: yutu.Exchange

---@class yutu.DropEvent
---@field vhost string
---@field exchange string
---@field routing_key string
---@field queue? string
---@field reason string

--------------------------------------------------------------------------------
-- Verdicts: what hooks return

---@class yutu.Verdict
---@field verdict "allow"|"deny"|"drop"|"change"|"delay"|"throttle"|"queue"
---@field reason? string deny, drop
---@field milliseconds? integer delay, throttle
---@field change? yutu.Change delay
---@field name? string queue

---@class yutu.Allow
---@field user? string another name than the one that was sent
---@field tags? string[]
---@field as? table what scripts see as `identity`
---@field permissions? table<string, { configure?: string, write?: string, read?: string }> by vhost

---@class yutu.Properties
---@field content_type? string|userdata
---@field content_encoding? string|userdata
---@field delivery_mode? 1|2|userdata
---@field priority? integer|userdata
---@field correlation_id? string|userdata
---@field reply_to? string|userdata
---@field expiration? string|userdata
---@field message_id? string|userdata
---@field timestamp? integer|userdata
---@field type? string|userdata
---@field user_id? string|userdata
---@field app_id? string|userdata

--- `null` takes a property away.
---@class yutu.Change: yutu.Properties
---@field headers? table<string, any> these are set, the others stay
---@field remove? string[] names of headers
---@field routing_key? string
---@field body? string
---@field arguments? table<string, any> `declare` only

---@param answer? yutu.Allow
---@return yutu.Verdict
function allow(answer) end
---@param reason string
---@return yutu.Verdict
function deny(reason) end
---@param reason? string
---@return yutu.Verdict
function drop(reason) end
---@param fields yutu.Change
---@return yutu.Verdict
function change(fields) end
---@param milliseconds number
---@param fields? yutu.Change the message comes with these changes then
---@return yutu.Verdict
function delay(milliseconds, fields) end
---@param milliseconds number
---@return yutu.Verdict
function throttle(milliseconds) end
--- For `route`: a queue by its name, whether it is bound or not.
---@param name string
---@return yutu.Verdict
function queue(name) end

--------------------------------------------------------------------------------
-- What scripts can use

--- The plugin's settings, defaults filled in.
---@type table<string, any>
settings = {}
--- A field table's void, and JSON's null.
---@type userdata
null = nil

---@class yutu.Shared
local dictionary = {}
---@param key string
---@return string|number|boolean|nil
function dictionary:get(key) end
---@param key string
---@param value string|number|boolean
---@param seconds? number
function dictionary:set(key, value, seconds) end
---@param key string
---@param value string|number|boolean
---@param seconds? number
---@return boolean added false if it is there
function dictionary:add(key, value, seconds) end
---@param key string
---@param by? number 1
---@param initial? number 0
---@param seconds? number of a key that is made by this call
---@return number value the new one
function dictionary:incr(key, by, initial, seconds) end
---@param key string
---@return boolean deleted whether it was there
function dictionary:delete(key) end
--- A token bucket.
---@param key string
---@param rate number tokens a second
---@param burst number tokens at most, and at first
---@param count? number 1
---@return boolean taken
---@return number? seconds to wait
function dictionary:take(key, rate, burst, count) end
---@return integer
function dictionary:count() end
---@param limit? integer 100, at most 10,000
---@return string[] keys those written longest ago first
function dictionary:keys(limit) end

--- A dictionary that all plugins see and that outlives reloads.
---@param name string
---@param capacity? integer 10,000
---@return yutu.Shared
function shared(name, capacity) end

---@class yutu.Publication: yutu.Change
---@field exchange? string
---@field vhost? string
---@field queue? string straight into this queue

--- Publishes after the current message; with a message, a copy of it with the fields given.
---@overload fun(message: yutu.Message, fields?: yutu.Publication): boolean?, string?
---@param fields yutu.Publication
---@return boolean? published
---@return string? reason why it was refused
function publish(fields) end

log = {}
function log.debug(...) end
function log.info(...) end
function log.warn(...) end
function log.error(...) end

json = {}
---@param value any
---@return string
function json.encode(value) end
---@param text string
---@return any
function json.decode(text) end

base64 = {}
---@param text string
---@return string
function base64.encode(text) end
---@param text string
---@return string? text nil if it is no base64
function base64.decode(text) end

hash = {}
---@param text string
---@param seed? integer
---@return integer
function hash.xxhash(text, seed) end
---@param text string
---@return integer
function hash.crc32(text) end
---@param text string
---@return string hexadecimal
function hash.sha256(text) end
---@param text string
---@return string hexadecimal
function hash.sha1(text) end
---@param text string
---@return string hexadecimal
function hash.md5(text) end

hmac = {}
---@param key string
---@param text string
---@return string hexadecimal
function hmac.sha256(key, text) end
---@param key string
---@param text string
---@return string hexadecimal
function hmac.sha1(key, text) end

password = {}
---@param hash string in RabbitMQ's format
---@param text string
---@return boolean
function password.check(hash, text) end
---@param text string
---@return string hash
function password.hash(text) end

---@return string
function uuid() end

time = {}
---@return number seconds since 1970
function time.now() end
---@return number seconds
function time.monotonic() end

metrics = {}
---@param name string
---@param by? number 1
---@param labels? table<string, string> at most 8
---@return boolean counted false when there are too many series
function metrics.counter(name, by, labels) end
---@param name string
---@param value number
---@param labels? table<string, string> at most 8
---@return boolean counted
function metrics.gauge(name, value, labels) end
---@param name string
---@param value number
---@param labels? table<string, string> at most 8
---@return boolean counted
function metrics.histogram(name, value, labels) end

net = {}
---@param address string
---@param network string `10.0.0.0/8`, `2001:db8::/32`
---@return boolean
function net.in_cidr(address, network) end

regex = {}
---@param pattern string
---@param text string
---@return boolean
function regex.match(pattern, text) end

-- Where waiting is allowed.

---@class yutu.HTTPRequest
---@field url string
---@field method? string
---@field headers? table<string, string>
---@field body? string
---@field timeout? number seconds

http = {}
---@param request yutu.HTTPRequest
---@return { status: integer, headers: table<string, string>, body: string }?
---@return string? reason
function http.request(request) end

---@param seconds number at most 60
function sleep(seconds) end

dns = {}
---@param name string
---@return string[]? addresses
---@return string? reason
function dns.resolve(name) end

--- In `sasl`: sends a challenge and gives back the client's response.
---@param text string
---@return string response
function challenge(text) end

--------------------------------------------------------------------------------
-- Tests: require("yutu.test")

---@class yutu.TestExchange
local exchange = {}
---@param queue string
---@param binding? table
function exchange:bind(queue, binding) end
---@param message table
---@return string[]|yutu.Verdict names sorted
function exchange:route(message) end

---@class yutu.Test
local t = {}
---@param name string
---@param f fun()
function t.test(name, f) end
---@param got any
---@param expected any
function t.equal(got, expected) end
---@param condition any
---@param text? string
function t.ok(condition, text) end
---@param f fun()
---@param text? string what the error contains
function t.fails(f, text) end
---@param values table<string, any>
function t.settings(values) end
---@param name string
---@param definition? { bindings?: table<string, table>, arguments?: table<string, any> }
---@return yutu.TestExchange
function t.exchange(name, definition) end
---@param arguments table<string, any>
---@param headers table<string, any>
---@return boolean? matches
---@return string? denial
function t.matches(arguments, headers) end
---@param message table
---@return yutu.Verdict?
function t.publish(message) end
---@param message table
---@return yutu.Verdict?
function t.enqueue(message) end
---@param message table
---@return yutu.Verdict?
function t.deliver(message) end
---@param login table
---@return yutu.Verdict?
function t.login(login) end
---@param name string
---@param login table
---@param responses? string[]
---@return yutu.Verdict?
function t.sasl(name, login, responses) end
---@param request table
---@return yutu.Verdict?
function t.authorize(request) end
---@param kind "queue"|"exchange"
---@param definition table
---@return yutu.Verdict?
function t.declare(kind, definition) end
---@param message table
---@param death table
---@return yutu.Verdict?
function t.dead_letter(message, death) end
---@param name string
---@param event table
function t.event(name, event) end
---@param index integer
function t.timer(index) end
---@param f fun(request: yutu.HTTPRequest): table?, string?
function t.http(f) end
---@param f fun(name: string): string[]?, string?
function t.dns(f) end
---@param seconds number
function t.now(seconds) end
---@param seconds number
function t.advance(seconds) end
---@return table[]
function t.published() end
function t.reload() end
