"""Our own words, in each language we speak. Pure."""

# ruff: noqa: RUF001 - Chinese has punctuation of its own

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_ENGLISH = {
    "critical": "Critical",
    "major": "Major",
    "minor": "Minor",
    "info": "Info",
    "correctness": "correctness",
    "security": "security",
    "performance": "performance",
    "maintainability": "maintainability",
    "why": "Why it matters",
    "unverified": "A language model's opinion, not verified. "
    "👍 or 👎 says whether it helped; resolve the thread when done.",
    "failed": "The review could not be done.",
    "clean": "No findings",
    "findings": "Findings: {count}",
    "unfinished": "Review incomplete",
    "unfinished_why": "Some of the change was not read to its end, "
    "so silence about it means nothing.",
    "files": "Files",
    "reviewed": "reviewed",
    "skipped": "skipped",
    "incomplete": "incomplete",
    "more": "and {count} more {state}",
    "unplaced": "Remarks whose lines the forge did not take",
    "held": "Held back",
    "unanchored": "not about a shown line: {count}",
    "duplicate": "repeats: {count}",
    "quota": "over the limit: {count}",
    "empty": "said nothing: {count}",
    "echo": "only repeated its input: {count}",
    "cost": "Model {model}, {calls} calls ({remembered} remembered), {read} tokens read "
    "({cached} cached), {written} written, {seconds} s",
    "head": "at commit",
    "react": "Remarks are a language model's opinion, not verified: "
    "react with 👍 or 👎, or resolve the thread.",
}
_CHINESE = {
    "critical": "严重",
    "major": "重要",
    "minor": "次要",
    "info": "提示",
    "correctness": "正确性",
    "security": "安全",
    "performance": "性能",
    "maintainability": "可维护性",
    "why": "影响",
    "unverified": "这是语言模型的意见，未经验证。"
    "请用 👍 或 👎 表示是否有用；处理完后请解决此讨论。",
    "failed": "无法完成评审。",
    "clean": "没有发现问题",
    "findings": "发现：{count}",
    "unfinished": "评审未完成",
    "unfinished_why": "部分改动没有读完，未提及并不代表没有问题。",
    "files": "文件",
    "reviewed": "已评审",
    "skipped": "已跳过",
    "incomplete": "未完成",
    "more": "另有 {count} 个文件{state}",
    "unplaced": "无法放到代码行上的意见",
    "held": "未显示的意见",
    "unanchored": "不针对所示代码行：{count}",
    "duplicate": "重复：{count}",
    "quota": "超出数量上限：{count}",
    "empty": "没有内容：{count}",
    "echo": "只是复述输入：{count}",
    "cost": "模型 {model}，{calls} 次调用（{remembered} 次来自缓存），读取 {read} 个词元"
    "（{cached} 个已缓存），生成 {written} 个，用时 {seconds} 秒",
    "head": "提交",
    "react": "以上意见来自语言模型，未经验证：请用 👍 或 👎 回应，或解决讨论。",
}
_LANGUAGES = {"en": _ENGLISH, "zh": _CHINESE}


def phrases(language: str) -> Mapping[str, str]:
    """Our words for a BCP 47 tag such as `zh-CN`; English for a language we do not speak."""
    return MappingProxyType(_LANGUAGES.get(language.lower().split("-")[0], _ENGLISH))
