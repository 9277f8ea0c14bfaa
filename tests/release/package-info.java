/** What a release has besides the jar, and whether it agrees with itself. */
package release;
