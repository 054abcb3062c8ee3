# needs: python3
# timeout: 120
cat > t.py <<'EOF'
import os, sys, threading, subprocess, multiprocessing, asyncio, sqlite3, socket, signal, tempfile, json, re, time, mmap, select, queue, concurrent.futures, ctypes, zlib, hashlib, decimal, selectors, shutil, fcntl, resource, struct, array

def square(x): return x * x
def worker(q, n): q.put((n, os.getpid() != os.getppid()))

def main():
    total = [0]; lock = threading.Lock()
    def add():
        for _ in range(10000):
            with lock: total[0] += 1
    ts = [threading.Thread(target=add) for _ in range(8)]
    [t.start() for t in ts]; [t.join() for t in ts]; print('threads', total[0])
    q = queue.Queue(2)
    t = threading.Thread(target=lambda: [q.put(i) for i in range(10)]); t.start(); print([q.get() for _ in range(10)]); t.join()
    e = threading.Event(); print('event', e.wait(0.05))
    print(subprocess.run(['sh', '-c', 'cat; echo err >&2; exit 5'], input=b'in', capture_output=True))
    try: subprocess.run(['sleep', '5'], timeout=0.1)
    except subprocess.TimeoutExpired: print('timeout')
    try: subprocess.run(['/no/such'])
    except FileNotFoundError as x: print(x.errno)
    p = subprocess.Popen(['cat'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True); print(p.communicate('x' * 200000)[0] == 'x' * 200000)
    for method in ('fork', 'spawn'):
        c = multiprocessing.get_context(method)
        with c.Pool(3) as pool: print(method, sum(pool.map(square, range(200))))
    mq = multiprocessing.Queue(); ps = [multiprocessing.Process(target=worker, args=(mq, i)) for i in range(4)]
    [p.start() for p in ps]; print(sorted(mq.get() for _ in ps)); [p.join() for p in ps]; print([p.exitcode for p in ps])
    v = multiprocessing.Value('i', 0)
    with multiprocessing.Manager() as m: d = m.dict(); d['a'] = 1; print(dict(d))
    with concurrent.futures.ProcessPoolExecutor(2) as ex: print(list(ex.map(square, range(5))))
    async def echo(r, w):
        w.write((await r.readline()).upper()); await w.drain(); w.close()
    async def amain():
        s = await asyncio.start_unix_server(echo, 'sock'); out = []
        for i in range(5):
            r, w = await asyncio.open_unix_connection('sock'); w.write(b'line %d\n' % i); out.append(await r.read()); w.close()
        s.close(); print(out)
        pr = await asyncio.create_subprocess_exec('sh', '-c', 'echo sub; exit 3', stdout=asyncio.subprocess.PIPE); print((await pr.communicate())[0], pr.returncode)
        print(await asyncio.gather(*[asyncio.sleep(0.01 * i, i) for i in range(4)]))
        try: await asyncio.wait_for(asyncio.sleep(9), 0.05)
        except asyncio.TimeoutError: print('async timeout')
        loop = asyncio.get_running_loop(); f = loop.create_future(); loop.add_signal_handler(signal.SIGUSR1, f.set_result, 'signalled'); os.kill(os.getpid(), signal.SIGUSR1); print(await f)
    asyncio.run(amain())
    db = sqlite3.connect('t.db'); db.execute('pragma journal_mode=wal'); db.execute('create table t(a int, b text)'); db.executemany('insert into t values(?,?)', [(i, str(i)) for i in range(1000)]); db.commit(); print(db.execute('select sum(a), count(b) from t where a % 7 = 0').fetchone()); db.close()
    a, b = socket.socketpair(); a.sendall(b'hello'); print(b.recv(10)); socket.send_fds(a, [b'f'], [os.open('t.db', os.O_RDONLY)]); print(len(socket.recv_fds(b, 10, 1)[1]))
    signal.signal(signal.SIGALRM, lambda *x: print('alarm')); signal.setitimer(signal.ITIMER_REAL, 0.05); time.sleep(0.15)
    m = mmap.mmap(-1, 8192); pid = os.fork()
    if pid == 0: m[0:5] = b'child'; os._exit(9)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), m[0:5])
    pid, fd = os.forkpty() if hasattr(os, 'forkpty') else (0, 0)
    if pid == 0: os.write(1, b'tty %d' % os.isatty(0)); os._exit(0)
    print(os.read(fd, 100)); os.waitpid(pid, 0)
    with tempfile.TemporaryDirectory() as d: open(d + '/f', 'w').write('x'); shutil.copytree(d, 'copy'); print(os.listdir('copy'))
    print(hashlib.sha1(zlib.compress(b'a' * 100000)).hexdigest()[:8], json.dumps({'k': [1, None]}), re.sub(r'(\d+)', r'<\1>', 'a1b22'), decimal.Decimal(1) / 3)
    with open('t.db', 'rb') as f: fcntl.flock(f, fcntl.LOCK_EX); print('locked')
    ep = select.epoll(); r, w = os.pipe(); ep.register(r, select.EPOLLIN); os.write(w, b'x'); print(len(ep.poll(1)))
    print(ctypes.CDLL(None).getppid() == os.getppid(), os.cpu_count() >= 1, len(os.urandom(8)), resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 0, os.sched_getaffinity(0) != set())

if __name__ == '__main__': main()
EOF
/usr/bin/python3 t.py
/usr/bin/python3 -c 'import json,re,subprocess,email; print("imports")'
