# needs: stress-ng
# timeout: 120
# Each call runs several stressors side by side, with fixed amounts of work, and verifies what they compute.
try() {
    name=$1
    shift
    out=$(stress-ng --quiet --verify --timeout 40 "$@" 2>&1)
    echo "$name $?"
    test -z "$out" || printf '%s\n' "$out" | sed 's/\[[0-9]*\]//' >&2
}
try cpu --cpu 1 --cpu-ops 20 --cpu-method fft --context 1 --context-ops 20 --longjmp 1 --longjmp-ops 20 --vecmath 1 --vecmath-ops 20 \
    --atomic 1 --atomic-ops 20 --getrandom 1 --getrandom-ops 50
try scheduler --fork 1 --fork-ops 60 --vfork 1 --vfork-ops 60 --clone 1 --clone-ops 2 --daemon 1 --daemon-ops 60 --zombie 1 --zombie-ops 60 \
    --wait 1 --wait-ops 20 --pthread 1 --pthread-ops 60 --futex 1 --futex-ops 300 --switch 1 --switch-ops 500 \
    --exec 1 --exec-ops 10 --session 1 --session-ops 20
try signals --kill 1 --kill-ops 500 --sigq 1 --sigq-ops 500 --sigrt 1 --sigrt-ops 200 --sigsegv 1 --sigsegv-ops 200 --sigfd 1 --sigfd-ops 200 \
    --sigsuspend 1 --sigsuspend-ops 100 --sigpending 1 --sigpending-ops 300 --signest 1 --signest-ops 30 \
    --timerfd 1 --timerfd-ops 50 --pidfd 1 --pidfd-ops 50
try memory --mremap 1 --mremap-bytes 1M --mremap-ops 5 --memfd 1 --memfd-bytes 4M --memfd-ops 3 \
    --stack 1 --stack-ops 1 --brk 1 --brk-ops 1000 --mprotect 1 --mprotect-ops 500 --msync 1 --msync-bytes 1M --msync-ops 20 \
    --vm 1 --vm-bytes 4M --vm-ops 100 --shm 1 --shm-ops 5 --tlb-shootdown 1 --tlb-shootdown-ops 3
try pipes --pipe 1 --pipe-ops 2000 --fifo 1 --fifo-ops 500 --splice 1 --splice-ops 200 --tee 1 --tee-ops 100 --vm-splice 1 --vm-splice-ops 200 \
    --sendfile 1 --sendfile-ops 20 --eventfd 1 --eventfd-ops 500 --poll 1 --poll-ops 200 --sockpair 1 --sockpair-ops 10
try files --dentry 1 --dentry-ops 200 --dir 1 --dir-ops 50 --rename 1 --rename-ops 200 \
    --flock 1 --flock-ops 200 --lockf 1 --lockf-ops 200 --lockofd 1 --lockofd-ops 200 --fallocate 1 --fallocate-bytes 1M --fallocate-ops 2 \
    --hdd 1 --hdd-bytes 1M --hdd-ops 20 --getdent 1 --getdent-ops 50 --inotify 1 --inotify-ops 2 --utime 1 --utime-ops 200 --seek 1 --seek-size 1M --seek-ops 100
