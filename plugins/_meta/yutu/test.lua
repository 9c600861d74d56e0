---@meta yutu.test
---@type yutu.Test
local test
return test
