// SRP-6a as in ib_platform/simulator/srp.py: numbers are BigInt, all other values hex text.
// SHA-256 is written out, since browsers lend theirs to secure origins only.
const Srp = (() => {
  const PRIME = BigInt("0x$prime");
  const GENERATOR = $generator;
  const WIDTH = $width;

  const hexOf = (bytes) => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
  const bytesOf = (hex) => Uint8Array.from(hex.match(/../g) || [], (pair) => parseInt(pair, 16));
  const pad = (number) => number.toString(16).padStart(2 * WIDTH, "0");

  // Square and cube roots of the first primes give the constants of SHA-256 (FIPS 180-4).
  const fraction = (root) => ((root - Math.floor(root)) * 2 ** 32) | 0;
  const primes = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p)) primes.push(n);
  const ROUNDS = primes.map((p) => fraction(Math.cbrt(p)));
  const START = primes.slice(0, 8).map((p) => fraction(Math.sqrt(p)));

  function sha256(hex) {
    const data = bytesOf(hex);
    const padded = new Uint8Array(((data.length + 72) >> 6) << 6);
    padded.set(data);
    padded[data.length] = 0x80;
    const view = new DataView(padded.buffer);
    view.setUint32(padded.length - 4, data.length * 8);
    const turn = (x, n) => (x >>> n) | (x << (32 - n));
    const state = START.slice();
    for (let block = 0; block < padded.length; block += 64) {
      const w = Array.from({ length: 16 }, (_, i) => view.getInt32(block + 4 * i));
      let [a, b, c, d, e, f, g, h] = state;
      for (let i = 0; i < 64; i++) {
        if (i > 15) {
          const [x, y] = [w[i - 15], w[i - 2]];
          const low = turn(x, 7) ^ turn(x, 18) ^ (x >>> 3);
          w[i] = (w[i - 16] + low + w[i - 7] + (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10))) | 0;
        }
        const high = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25);
        const first = (h + high + ((e & f) ^ (~e & g)) + ROUNDS[i] + w[i]) | 0;
        const second = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
        [a, b, c, d, e, f, g, h] = [(first + second) | 0, a, b, c, (d + first) | 0, e, f, g];
      }
      [a, b, c, d, e, f, g, h].forEach((value, i) => (state[i] = (state[i] + value) | 0));
    }
    return state.map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }

  const number = (hex) => BigInt("0x" + hex);

  function power(base, exponent) {
    let result = 1n;
    for (base = ((base % PRIME) + PRIME) % PRIME; exponent; exponent >>= 1n) {
      if (exponent & 1n) result = (result * base) % PRIME;
      base = (base * base) % PRIME;
    }
    return result;
  }

  // The client's first message: {secret, A}.
  function begin() {
    const secret = number(hexOf(crypto.getRandomValues(new Uint8Array(32))));
    return { secret, A: pad(power(GENERATOR, secret)) };
  }

  // Its proof M1, and the M2 with which the right server answers.
  function prove({ secret, A }, username, password, { salt, B }) {
    const inner = sha256(hexOf(new TextEncoder().encode(username + ":" + password)));
    const key = number(sha256(salt + inner));
    const multiplier = number(sha256(pad(PRIME) + pad(GENERATOR)));
    const both = A + pad(number(B));
    const base = number(B) - multiplier * power(GENERATOR, key);
    const shared = sha256(pad(power(base, secret + number(sha256(both)) * key)));
    const M1 = sha256(both + shared);
    return { M1, M2: sha256(A + M1 + shared) };
  }

  return { begin, prove, sha256 };
})();
