/** Links to what the service answers: a link carries no token, so with one the answer is fetched. */

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { asProblem, send, serviceUrl } from "../api/client";
import { token } from "../api/token";
import { download } from "../ui/picture_files";

export function ServiceLink({
  path,
  file,
  class: className,
  children,
}: {
  path: string;
  /** The name of the file to save; "" leaves it to the service. Without it the answer is shown. */
  file?: string;
  class?: string;
  children: ComponentChildren;
}) {
  const [said, say] = useState("");
  const fetchIt = async (event: MouseEvent) => {
    if (token.peek() === null) return;
    event.preventDefault();
    say("Loading ...");
    try {
      const response = await send(path);
      const content = await response.blob();
      if (file === undefined) location.assign(URL.createObjectURL(content));
      else download(content, file || nameIn(response) || "download");
      say("");
    } catch (error) {
      say(asProblem(error).detail);
    }
  };
  const saved = file === undefined ? {} : { download: file };
  return (
    <span>
      <a href={serviceUrl(path)} class={className} {...saved} onClick={(e) => void fetchIt(e)}>
        {children}
      </a>
      <span role="status">{said && ` ${said}`}</span>
    </span>
  );
}

function nameIn(response: Response): string | undefined {
  return /filename="([^"]*)"/.exec(response.headers.get("Content-Disposition") ?? "")?.[1];
}
