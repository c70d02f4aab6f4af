/** Requests to the service, and its problems as errors. */

import type { components } from "./schema";
import { askForToken, token, withToken } from "./token";

export type Schemas = components["schemas"];
export type Problem = Schemas["Problem"];

/** An answer that is a problem, or no answer at all; `message` is the problem's detail. */
export class ProblemError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail);
    this.name = "ProblemError";
  }
}

/**
 * Returns the URL of a path of the service, which may stand under a prefix.
 *
 * A link in an answer has the prefix already, if the service knows it (ZOO_ROOT_PATH).
 */
export function serviceUrl(path: string): string {
  const base = new URL(".", document.baseURI);
  return new URL(path.startsWith(base.pathname) ? path : path.replace(/^\//, ""), base).href;
}

/** Returns the path of a route with its parameters encoded: path`v1/builds/${id}`. */
export function path(parts: TemplateStringsArray, ...parameters: string[]): string {
  return String.raw({ raw: parts }, ...parameters.map(encodeURIComponent));
}

/**
 * Sends a request, and returns the response if it is not a problem.
 *
 * If the service needs a token, the reader is asked for one, and the request is sent again.
 * Throws ProblemError; and an AbortError if `signal` ended the request.
 */
export async function send(path: string, init: RequestInit = {}): Promise<Response> {
  for (;;) {
    const sent = token.peek();
    let response: Response;
    try {
      response = await fetch(serviceUrl(path), withToken(init));
    } catch (error) {
      if (isAbort(error)) throw error;
      throw new ProblemError(unreachable(path));
    }
    if (response.ok) return response;
    if (response.status === 401 && (await askForToken(sent))) continue;
    throw new ProblemError(await readProblem(response));
  }
}

export async function get<Name extends keyof Schemas>(
  path: string,
  signal?: AbortSignal,
): Promise<Schemas[Name]> {
  const response = await send(path, signal ? { signal } : {});
  return (await response.json()) as Schemas[Name];
}

export async function post<Name extends keyof Schemas>(
  path: string,
  body: unknown,
  signal?: AbortSignal,
): Promise<Schemas[Name]> {
  const response = await send(path, jsonRequest("POST", body, signal));
  return (await response.json()) as Schemas[Name];
}

/** Returns the options of a request with a JSON body. */
export function jsonRequest(method: string, body: unknown, signal?: AbortSignal): RequestInit {
  return {
    method,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    ...(signal && { signal }),
  };
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

/** Returns any error as a problem, so that every panel shows errors in one form. */
export function asProblem(error: unknown): Problem {
  if (error instanceof ProblemError) return error.problem;
  const detail = error instanceof Error ? error.message : String(error);
  return pageProblem("The page failed", detail, 0);
}

async function readProblem(response: Response): Promise<Problem> {
  const text = await response.text();
  // The other servers' protocols answer problems as application/json.
  if (response.headers.get("Content-Type")?.includes("json")) {
    const body: unknown = JSON.parse(text);
    if (isProblem(body)) return body;
  }
  const detail = `The answer has status ${response.status} and is no problem of this service: ${text.slice(0, 200)}`;
  return pageProblem(
    "Something between the page and the service answered",
    detail,
    response.status,
  );
}

function isProblem(body: unknown): body is Problem {
  if (typeof body !== "object" || body === null || !("type" in body)) return false;
  // A proxy may answer problems of its own, whose types no page of ours explains.
  return typeof body.type === "string" && body.type.includes("/docs#problem-");
}

function unreachable(path: string): Problem {
  const detail = `No answer to ${path}. Is the service running? The page asks for the build again every few seconds.`;
  return pageProblem("The service does not answer", detail, 0);
}

function pageProblem(title: string, detail: string, status: number): Problem {
  return {
    type: "/docs#problem-internal-error",
    title,
    detail,
    status,
    errors: [],
    request_id: "",
  };
}
