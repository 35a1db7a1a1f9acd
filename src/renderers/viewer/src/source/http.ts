/** Asks the local server that gave out the page. */

import { checked, type Answer, type Ask, AskedSource } from "./answers";
import { SourceError, type TileSource } from "./source";
import type { TraceInfo } from "./trace-info";

export async function httpSource(address: string): Promise<TileSource> {
  const ask = askOver(address);
  const { meta } = checked(await ask({ ask: "trace" }));
  return new AskedSource(meta as unknown as TraceInfo, ask);
}

function askOver(address: string): Ask {
  return async (question) => {
    let response: Response;
    try {
      const body = JSON.stringify(question);
      response = await fetch(address, { method: "POST", headers: { "Content-Type": "application/json" }, body });
    } catch {
      throw new SourceError("the server no longer answers; start it again with attncore serve and reload the page");
    }
    if (!response.ok && response.status !== 400) {
      throw new SourceError(`the server refused (status ${response.status}); open the address that attncore serve printed`);
    }
    return unframed(await response.arrayBuffer());
  };
}

/** The length of the answer's JSON as uint32, the JSON, then float32 numbers. Throws a SourceError for anything else. */
export function unframed(body: ArrayBuffer): Answer {
  try {
    const length = new DataView(body).getUint32(0, true);
    const meta = JSON.parse(new TextDecoder().decode(new Uint8Array(body, 4, length))) as Answer["meta"];
    return { meta, numbers: new Float32Array(body.slice(4 + length)) };
  } catch {
    throw new SourceError("what came back is no answer of attncore serve; open the address that it printed");
  }
}
