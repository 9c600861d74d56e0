---@meta
--- What the broker gives to scripts, for editors. Nothing here is ever run.

---@class yutu.Plugin
---@field api 1
---@field about? string
---@field enabled? boolean false: waits for the operator
---@field settings? table<string, { default: any, about?: string }>
---@field exchange? yutu.ExchangeType

---@class yutu.ExchangeType
---@field pure? string[] message fields that alone decide
---@field validate? fun(exchange: yutu.Exchange): yutu.Verdict?
---@field bind? fun(binding: yutu.Binding): any
---@field prepare? fun(bindings: yutu.Bindings): any
---@field route fun(message: yutu.Message, bindings: yutu.Bindings, index: any): any

---@class yutu.Exchange
---@field name string
---@field type string
---@field vhost string
---@field durable boolean
---@field auto_delete boolean
---@field internal boolean
---@field arguments table<string, any>

---@class yutu.Message
---@field exchange string
---@field routing_key string
---@field headers table<string, any>
---@field body string
---@field size integer
---@field vhost string
---@field user string
---@field redelivered boolean
---@field delayed? integer milliseconds
---@field queue? string
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
---@field arguments table<string, any>
---@field routing_key string
---@field key string
---@field destination string
---@field destination_kind "queue"|"exchange"
---@field exchange yutu.Exchange
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
---@param value string|number
---@return yutu.Binding?
function bindings:hash(value) end

---@class yutu.Selection
---@operator len: integer
---@field [integer] yutu.Binding
local selection = {}
---@return fun(): yutu.Binding, any
function selection:each() end

---@class yutu.Verdict
---@field verdict string
---@field reason? string

---@param reason string
---@return yutu.Verdict
function deny(reason) end
---@param reason? string
---@return yutu.Verdict
function drop(reason) end
---@param answer? table
---@return yutu.Verdict
function allow(answer) end
---@param fields? table
---@return yutu.Verdict
function change(fields) end
---@param milliseconds number
---@return yutu.Verdict
function delay(milliseconds) end
---@param milliseconds number
---@return yutu.Verdict
function throttle(milliseconds) end
---@param name string
---@return yutu.Verdict
function queue(name) end

---@type table<string, any>
settings = {}
--- A field table's void, and JSON's null.
---@type userdata
null = nil

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

hash = {}
---@param text string
---@param seed? integer
---@return integer
function hash.xxhash(text, seed) end
---@param text string
---@return integer
function hash.crc32(text) end

time = {}
---@return number seconds since 1970
function time.now() end
---@return number seconds
function time.monotonic() end
