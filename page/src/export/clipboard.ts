/** Copies text; where the browser forbids that, it selects the text for the reader to copy. */

/** Returns whether the text was copied; otherwise `shown`, which holds it, is selected. */
export async function copyText(text: string, shown: HTMLElement | null): Promise<boolean> {
  try {
    // Absent where the page was opened over plain HTTP from another machine.
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    if (shown) getSelection()?.selectAllChildren(shown);
    return false;
  }
}
