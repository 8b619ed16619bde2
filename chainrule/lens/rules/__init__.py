"""The rules of differentiation: one function and one formula for each operation."""

from chainrule.lens.rules.book import RuleBook, RuleEntry, find_rule, rule_book
from chainrule.lens.rules.constants import CONSTANT
from chainrule.lens.rules.drawn import APPROXIMATED, MOVED
from chainrule.lens.rules.rule import Call, Formula, Gradients, Rule, check_value
from chainrule.lens.rules.table import RULES
from chainrule.lens.rules.written import book_facts, book_lines, in_full, rule_facts, rules_page

__all__ = [
    "APPROXIMATED",
    "CONSTANT",
    "MOVED",
    "RULES",
    "Call",
    "Formula",
    "Gradients",
    "Rule",
    "RuleBook",
    "RuleEntry",
    "book_facts",
    "book_lines",
    "check_value",
    "find_rule",
    "in_full",
    "rule_book",
    "rule_facts",
    "rules_page",
]
