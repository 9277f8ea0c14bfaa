/** Code that breaks every rule, in packages named as ours: it shows that the rules bite. Never used otherwise. */
package arch.bad;
