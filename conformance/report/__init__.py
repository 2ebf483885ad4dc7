"""The judgement for people and for machines: table, TAP, JUnit XML, JSON and one page of HTML."""
