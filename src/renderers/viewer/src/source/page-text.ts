/** The texts that a self-contained page holds; those behind the script are not there yet when the viewer starts. */

/** The text of this name, if the browser has come to it. */
export function textInPage(name: string): string | null {
  return document.getElementById(`attncore-${name}`)?.textContent ?? null;
}

/** The text of this name, as soon as the browser has read it; null when the page has none. */
export async function readText(name: string): Promise<string | null> {
  const found = document.getElementById(`attncore-${name}`);
  // While the browser reads an element it holds a part of its text: only what something follows is whole.
  if ((found === null || found.nextElementSibling === null) && document.readyState === "loading") {
    await new Promise((resolve) => document.addEventListener("DOMContentLoaded", resolve, { once: true }));
  }
  return textInPage(name);
}
