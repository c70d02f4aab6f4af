/** The token that the service asks for: kept for this tab alone, and sent with every request. */

import { computed, signal } from "@preact/signals";

const KEY = "zoo-token";

/** The token; null if none was given. */
export const token = signal<string | null>(stored());

/** Why the page asks for a token; null if it does not. */
export const asking = signal<"needed" | "refused" | null>(null);

/** Whether the reader was asked and gave none: he is not asked again until he wants to be. */
const isDismissed = signal(false);
export const isMissing = computed(() => token.value === null && isDismissed.value);

let answer: Promise<boolean> | null = null;
let settle: (given: boolean) => void = () => {};

/** Returns a request's options with the token. */
export function withToken(init: RequestInit): RequestInit {
  if (token.peek() === null) return init;
  const headers = new Headers(init.headers);
  headers.set("Authorization", `Bearer ${token.peek()}`);
  return { ...init, headers };
}

/**
 * Asks for a token, after the service has refused a request that was sent with `sent`, and resolves
 * to whether there is another one now. Requests that are refused meanwhile wait for the same answer.
 */
export function askForToken(sent: string | null): Promise<boolean> {
  if (token.peek() !== sent) return Promise.resolve(token.peek() !== null);
  if (isDismissed.peek()) return Promise.resolve(false);
  asking.value = sent === null ? "needed" : "refused";
  answer ??= new Promise((resolve) => {
    settle = resolve;
  });
  return answer;
}

/** Takes the reader's answer: a token, or null if he gives none. */
export function giveToken(text: string | null): void {
  if (text !== null) keep(text.trim());
  isDismissed.value = text === null;
  asking.value = null;
  answer = null;
  settle(text !== null);
}

/** Opens the question again after it was dismissed. */
export function wantToken(): void {
  isDismissed.value = false;
  asking.value = "needed";
}

export function forgetToken(): void {
  keep(null);
}

function keep(text: string | null): void {
  token.value = text;
  try {
    if (text === null) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, text);
  } catch {
    // This browser keeps nothing for pages: the token lasts until the page is left.
  }
}

function stored(): string | null {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}
