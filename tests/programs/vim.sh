# needs: vim
export TERM=xterm
printf 'one\ntwo\nthree\n' > f
vim -u NONE -es -N f <<'EOF'
%s/two/2/
g/one/normal A!
call append(line('$'), 'sum ' . (20 + 22))
let out = system('echo from shell')
call append(line('$'), split(out, '\n'))
sort r
wq
EOF
cat f; ls .f.swp 2>/dev/null || echo 'no swap file'
