# needs: tmux
# timeout: 60
export TMUX_TMPDIR=$PWD TERM=xterm SHELL=/bin/sh; unset TMUX
tmux -f /dev/null new-session -d -s t -n first -x 60 -y 15 "PS1='$ ' sh -i"
wait_for() { for i in $(seq 100); do tmux capture-pane -pt t | grep -q "$1" && return 0; sleep 0.05; done; echo "no $1"; tmux capture-pane -pt t; return 1; }
wait_for '\$'; tmux send-keys -t t 'echo mark$((6*7))' Enter; wait_for mark42; tmux send-keys -t t 'stty size' Enter; wait_for '15 60'; tmux send-keys -t t 'sleep 100' Enter; sleep 0.3; tmux send-keys -t t C-c; tmux send-keys -t t 'echo back$((1+1))' Enter; wait_for back2
tmux split-window -h -t t 'sh -c "stty size; exec sleep 100"'; tmux list-panes -t t -F '#{pane_index} #{pane_width}x#{pane_height}'; tmux resize-window -t t -x 80 -y 20 2>/dev/null; tmux new-window -t t -n second 'exec sleep 50'; tmux list-windows -t t -F '#W'; tmux kill-session -t t; sleep 0.2; tmux ls 2>&1 | grep -c -e 'no server' -e 'error connecting'
