/** What holds for the code as a whole: who may use whom, and how it is laid out. */
package arch;
