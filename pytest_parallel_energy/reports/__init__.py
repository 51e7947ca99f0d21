"""Everything that shows records: terminal tables, HTML, Markdown, JUnit, exports."""
