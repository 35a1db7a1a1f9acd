/** Starts the viewer in a page of its own: a saved file, or one that a local server gave out. */

import { mountViewer } from "./shell/app";
import { hasBlocks } from "./source/blocks";
import { EmbeddedSource } from "./source/embedded";
import { readText, textInPage } from "./source/page-text";
import { httpSource } from "./source/http";
import { SourceError, type TileSource } from "./source/source";
import type { TraceInfo } from "./source/trace-info";
import { firstSelection } from "./state/first";
import { fromFragment } from "./state/url";

type Viewer = ReturnType<typeof mountViewer>;

/** For tests, benchmarks and people at the console: `attncore.store.select({ layer: 3 })`. */
interface Handle {
  readonly ready: Promise<Viewer>;
  /** Resolves when nothing is being read or drawn. */
  idle(): Promise<void>;
  /** Set once the page is ready. */
  store?: Viewer["store"];
}

async function sourceOfPage(): Promise<TileSource> {
  const server = document.querySelector<HTMLMetaElement>('meta[name="attncore-source"]')?.content;
  if (server !== undefined) return httpSource(askAddress());
  const info = textInPage("trace");
  if (info === null) throw new SourceError("this page holds no trace; write it again with trace.render('d3').save(…)");
  const trace = parsed(info);
  if (!hasBlocks(trace)) throw new SourceError("this page holds no weights; write it again with trace.render('d3').save(…)");
  return new EmbeddedSource(trace, readText);
}

function parsed(text: string): TraceInfo {
  try {
    return JSON.parse(text) as TraceInfo;
  } catch {
    throw new SourceError("the description of the trace is damaged or was cut short; write this page again");
  }
}

/** The server's address for questions: beside the page, with the page's own token. */
function askAddress(): string {
  const address = new URL("ask", location.href);
  address.search = location.search;
  return address.href;
}

async function start(host: HTMLElement): Promise<Viewer> {
  const source = await sourceOfPage();
  const first = { ...firstSelection(source.trace), ...fromFragment(location.hash, source.trace) };
  return mountViewer(host, source, { first, urlState: true });
}

function showFailure(host: HTMLElement, error: unknown): void {
  const box = document.createElement("p");
  box.setAttribute("role", "alert");
  box.textContent = `attncore: ${error instanceof Error ? error.message : String(error)}`;
  host.replaceChildren(box);
}

const host = document.getElementById("attncore");
if (host !== null) {
  const ready = start(host);
  const handle: Handle = { ready, idle: async () => (await ready).idle() };
  ready.then(
    (viewer) => (handle.store = viewer.store),
    (error: unknown) => showFailure(host, error),
  );
  Object.assign(window, { attncore: handle });
}
