#!/bin/sh
# Real work, timed from inside: `name milliseconds ms`, the best of three rounds after one that warms the caches, which
# is the same on every side.
# usage: real.sh <scratch directory in memory> <directory with Lua's C sources> [part of a row's name]
set -e
dir=$1 lua=$2 only=${3-}
cd "$dir"
now() { date +%s%N; }
row() {
    name=$1; shift; best=
    case $name in *"$only"*) ;; *) return ;; esac
    for round in warm 1 2 3; do
        start=$(now); "$@" > /dev/null 2>&1; took=$(( ($(now) - start) / 100000 ))
        [ $round != warm ] || continue
        [ -n "$best" ] && [ "$best" -le "$took" ] || best=$took
    done
    echo "$name $(( best / 10 )).$(( best % 10 )) ms"
}
build_lua() {
    rm -rf lua; cp -r "$lua" lua; cd lua
    rm -f luac.c ltests.c onelua.c
    [ -f lua.c ] || printf '#include "lauxlib.h"\n#include "lualib.h"\nint main(void) { lua_State *l = luaL_newstate(); luaL_openlibs(l); return luaL_dostring(l, "print(1 + 1)"); }\n' > main.c
    printf 'O = $(patsubst %%.c,%%.o,$(wildcard *.c))\nlua: $(O); gcc -o $@ $(O) -lm\n%%.o: %%.c; gcc -O2 -DLUA_USE_POSIX -c $< -o $@\n' > Makefile
    make -j2; cd ..
}
imports() { for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do /usr/bin/python3 -c 'import json,re,subprocess,email'; done; }
shell_loop() { i=0; while [ $i -lt 400 ]; do /bin/true; i=$((i + 1)); done; }
find_files() { find /usr -xdev -type f -name '*.h' | wc -l; }
grep_files() { grep -rl --include='*.py' 'import subprocess' /usr/lib | wc -l; }
search() { find_files; grep_files; }
[ -d "$lua" ] && row lua_build build_lua
[ -x /usr/bin/python3 ] && row python_imports imports
row shell_loop shell_loop
row find find_files
row grep grep_files
row find_grep search
