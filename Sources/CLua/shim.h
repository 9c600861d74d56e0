// Debian's liblua5.4-dev. Only CLuaGuard includes it: Swift never sees the Lua API.
#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>
