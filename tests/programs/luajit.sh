# needs: luajit
# A compiler at run time other than node's: hot loops, calls of C functions and back, coroutines, much garbage.
luajit -v | sed 's/ -- .*//'
luajit -e 'print(jit.status() and "on" or "off")' | cut -f1
cat > hot.lua <<'END'
local bit, ffi = require("bit"), require("ffi")
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
print(fib(27))
local h = 0
for i = 1, 20000000 do h = bit.tobit(bit.bxor(h * 31, i)) end
print(h)
local t = {}
for i = 1, 300000 do t[i] = (i * 7919) % 300007 end
table.sort(t)
print(t[1], t[150000], t[300000])
ffi.cdef[[
int getpid(void); double sqrt(double); typedef struct { int a; double b; } pair;
void qsort(void *base, size_t n, size_t size, int (*less)(const int *, const int *));
int mprotect(void *, size_t, int); char *strerror(int);
]]
local p = ffi.new("pair[?]", 1000)
local sum = 0
for round = 1, 2000 do for i = 0, 999 do p[i].a = i; p[i].b = p[i].b + ffi.C.sqrt(i); sum = sum + p[i].a end end
print(sum, string.format("%.6f", p[999].b))
local a = ffi.new("int[100]")
for i = 0, 99 do a[i] = (i * 37) % 100 end
local less = ffi.cast("int (*)(const int *, const int *)", function(x, y) return x[0] - y[0] end)
ffi.C.qsort(a, 100, 4, less)
less:free()
print(a[0], a[50], a[99])
local co = coroutine.wrap(function() for i = 1, 1000000 do coroutine.yield(i) end return -1 end)
local last = 0
for i = 1, 1000001 do last = co() end
print(last)
local parts = {}
for i = 1, 200000 do parts[i] = ("%d:%x"):format(i, i * i) end
print(#table.concat(parts, ","))
local ok, why = pcall(function() local x = nil; return x.y end)
print(ok, (why:gsub("^[^ ]*", "")))
print(jit.util and "util" or pcall(require, "jit.util"))
local ju = require("jit.util")
print(ju.traceinfo(1) ~= nil)
END
luajit hot.lua; luajit -joff -e 'print(2^53)'; luajit -O0 -e 'local s = 0 for i = 1, 1e6 do s = s + i end print(s)'
luajit -b hot.lua hot.out; luajit hot.out | md5sum; for i in 1 2 3 4; do luajit hot.lua > out.$i & done; wait; cat out.1 out.2 out.3 out.4 | sort | uniq -c | awk '{print $1}' | sort | uniq -c
