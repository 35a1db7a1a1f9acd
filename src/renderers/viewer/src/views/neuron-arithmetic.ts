/**
 * From one query and all keys to weights, in float64: the same formula as `attncore.scoring`.
 *
 *     scaled = scale * sum_d q[d] k[j, d]
 *     capped = softcap * tanh(scaled / softcap)                      where the model caps its scores (Gemma 2)
 *     score  = capped + bias[j], or -inf where masked
 *     weight = exp(score[j]) / (sum_i exp(score[i]) + exp(sink))     the sink only where there is one
 */

export interface ScoreRules {
  readonly scale: number;
  readonly softcap: number | null;
  /** One number a key; null when nothing is added. */
  readonly bias: ArrayLike<number> | null;
  /** 0 where the key is masked; null when no key is. */
  readonly allowed: ArrayLike<number> | null;
  /** The learned score that takes attention away without a token; null when the model has none. */
  readonly sink: number | null;
}

/** Every step for each key; masked keys have the score -Infinity and the weight 0. */
export interface ScoreRow {
  readonly dots: Float64Array;
  readonly scaled: Float64Array;
  readonly capped: Float64Array;
  readonly scores: Float64Array;
  readonly weights: Float64Array;
  /** What the sink takes; 0 without a sink. */
  readonly sinkWeight: number;
  /** Root of the sum of squared products, per key: what rounding errors of the vectors are in proportion to. */
  readonly spreads: Float64Array;
}

/** `query` is (headDim), `keys` (keys, headDim) row-major. */
export function scoreRow(query: Float32Array, keys: Float32Array, rules: ScoreRules): ScoreRow {
  const size = query.length;
  const count = size === 0 ? 0 : keys.length / size;
  const dots = new Float64Array(count);
  const spreads = new Float64Array(count);
  for (let key = 0; key < count; key += 1) {
    let [sum, squares] = [0, 0];
    for (let dimension = 0; dimension < size; dimension += 1) {
      const product = (query[dimension] ?? 0) * (keys[key * size + dimension] ?? 0);
      sum += product;
      squares += product * product;
    }
    dots[key] = sum;
    spreads[key] = Math.sqrt(squares);
  }
  const { scale, softcap, bias, allowed, sink } = rules;
  const scaled = dots.map((dot) => scale * dot);
  const capped = softcap === null ? scaled : scaled.map((score) => softcap * Math.tanh(score / softcap));
  const scores = capped.map((score, key) => (allowed !== null && !allowed[key] ? Number.NEGATIVE_INFINITY : score + (bias?.[key] ?? 0)));
  return { dots, scaled, capped, scores, spreads, ...softmax(scores, sink) };
}

/** Shares of exp(score); a row in which everything is masked has no weights, and stays 0. */
export function softmax(scores: Float64Array, sink: number | null): { weights: Float64Array; sinkWeight: number } {
  let peak = sink ?? Number.NEGATIVE_INFINITY;
  for (const score of scores) peak = Math.max(peak, score);
  if (peak === Number.NEGATIVE_INFINITY) return { weights: new Float64Array(scores.length), sinkWeight: 0 };
  const powers = scores.map((score) => Math.exp(score - peak));
  const sinkPower = sink === null ? 0 : Math.exp(sink - peak);
  const total = powers.reduce((sum, power) => sum + power, sinkPower);
  return { weights: powers.map((power) => power / total), sinkWeight: sinkPower / total };
}

/** q[d] k[d] for each dimension. */
export function products(query: Float32Array, key: Float32Array): Float32Array {
  return query.map((value, dimension) => value * (key[dimension] ?? 0));
}

/** The dimensions from the one that adds most to the dot product to the one that takes most away. */
export function byContribution(query: Float32Array, key: Float32Array): number[] {
  const each = products(query, key);
  return [...each.keys()].sort((left, right) => (each[right] ?? 0) - (each[left] ?? 0));
}

/** The size below which 99 of 100 values are, so that one outlier does not make all others pale. */
export function robustLimit(values: Float32Array): number {
  const stride = Math.max(1, Math.floor(values.length / 20_000));
  const sizes: number[] = [];
  for (let place = 0; place < values.length; place += stride) {
    const size = Math.abs(values[place] ?? 0);
    if (Number.isFinite(size)) sizes.push(size);
  }
  sizes.sort((left, right) => left - right);
  const limit = sizes[Math.min(sizes.length - 1, Math.ceil(sizes.length * 0.99))] ?? 0;
  return limit > 0 ? limit : 1;
}

/** Which key head serves a query head when several share one (grouped-query attention). */
export function keyHeadOf(head: number, heads: number, keyHeads: number): number {
  return Math.floor((head * keyHeads) / heads);
}
