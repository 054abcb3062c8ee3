# needs: nodejs
# timeout: 120
cat > t.js <<'EOF'
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads'); const cp = require('child_process'), fs = require('fs'), net = require('net'), crypto = require('crypto'), zlib = require('zlib'), os = require('os');
if (!isMainThread) { let s = 0; for (let i = 0; i < 1e6; i++) s += i % workerData; parentPort.postMessage(s); return; }
(async () => {
  const w = n => new Promise((ok, no) => { const k = new Worker(__filename, { workerData: n }); k.on('message', ok); k.on('error', no); });
  console.log(await Promise.all([w(3), w(5), w(7)]));
  console.log(cp.execSync('echo sync').toString().trim(), cp.spawnSync('sh', ['-c', 'exit 6']).status);
  console.log(await new Promise(ok => { const c = cp.spawn('cat'); let d = ''; c.stdout.on('data', x => d += x); c.on('close', code => ok([d.length, code])); c.stdin.end('y'.repeat(300000)); }));
  console.log(await new Promise(ok => cp.exec('sleep 9', { timeout: 100 }, e => ok(e.signal))));
  const f = cp.fork(__dirname + '/child.js'); console.log(await new Promise(ok => { f.on('message', ok); f.send({ x: 20 }); })); f.kill();
  await fs.promises.writeFile('f', 'text'); console.log(fs.readFileSync('f', 'utf8'), fs.statSync('f').size, fs.readdirSync('.').filter(x => /^[ftc]/.test(x)).sort()); try { fs.readFileSync('none'); } catch (e) { console.log(e.code); }
  fs.mkdirSync('d/e/g', { recursive: true }); fs.renameSync('f', 'd/f'); fs.rmSync('d', { recursive: true }); console.log(fs.existsSync('d'));
  const t = Date.now(); await new Promise(ok => setTimeout(ok, 50)); console.log(Date.now() - t >= 49); let n = 0; await new Promise(ok => { const i = setInterval(() => { if (++n == 5) { clearInterval(i); ok(); } }, 2); }); console.log(n);
  const srv = net.createServer(c => c.pipe(c)).listen('nsock'); console.log(await new Promise(ok => { const c = net.connect('nsock', () => c.write('echo')); c.on('data', d => { ok(String(d)); c.end(); }); })); srv.close();
  console.log(zlib.gunzipSync(zlib.gzipSync('zip'.repeat(10000))).length, crypto.createHash('sha256').update('x').digest('hex').slice(0, 8), await new Promise(ok => crypto.pbkdf2('p', 's', 1000, 8, 'sha1', (e, k) => ok(k.toString('hex')))));
  let h = 0; function hot(a) { return a * 3 % 7; } for (let i = 0; i < 3e6; i++) h += hot(i); console.log(h); const sab = new SharedArrayBuffer(4); console.log(Atomics.wait(new Int32Array(sab), 0, 0, 20)); process.on('SIGUSR2', () => { console.log('usr2'); process.exit(0); }); process.kill(process.pid, 'SIGUSR2'); setTimeout(() => {}, 2000);
})();
EOF
echo "process.on('message', m => process.send(m.x + 1))" > child.js
node t.js
