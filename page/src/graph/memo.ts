/** Components that are drawn again only when one of their props is another. */

import { Component, type FunctionComponent, h } from "preact";

export function memo<Props extends object>(
  Draw: FunctionComponent<Props>,
): new (
  props: Props,
) => Component<Props> {
  return class Memo extends Component<Props> {
    override shouldComponentUpdate(next: Readonly<Props>): boolean {
      const now = this.props as Record<string, unknown>;
      return Object.entries(next).some(([name, value]) => now[name] !== value);
    }

    override render() {
      return h(Draw, this.props as Props);
    }
  };
}
