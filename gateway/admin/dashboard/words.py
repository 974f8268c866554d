"""The words of the dashboard, English and Chinese, and numbers and times as people read them. Pure."""

from enum import StrEnum
from typing import Final


class Lang(StrEnum):
    EN = "en"
    ZH = "zh"


_WORDS: Final[dict[str, tuple[str, str]]] = {
    "dashboard": ("Overview", "总览"),
    "hits": ("Hit inspector", "命中检视"),
    "skip": ("Skip to content", "跳到正文"),
    "language": ("Language", "语言"),
    "theme": ("Appearance", "外观"),
    "auto": ("Auto", "自动"),
    "light": ("Light", "浅色"),
    "dark": ("Dark", "深色"),
    "window": ("Period", "时段"),
    "window-1h": ("1 hour", "1 小时"),
    "window-24h": ("24 hours", "24 小时"),
    "window-7d": ("7 days", "7 天"),
    "window-30d": ("30 days", "30 天"),
    "window-all": ("All", "全部"),
    "live": ("Live", "实时"),
    "paused": ("Paused", "已暂停"),
    "lost": ("No connection to the gateway. Trying again.", "与网关的连接中断，正在重试。"),
    "logged-out": ("You are logged out. Load this page again to log in.", "您已退出，请重新载入此页以登录。"),
    "log-out": ("Log out", "退出"),
    # The headline.
    "hit-rate": ("Hit rate", "命中率"),
    "hit-rate-of": ("{hits} of {asked} questions answered from the cache", "{asked} 次提问中 {hits} 次由缓存回答"),
    "calls": ("Calls avoided", "省下的调用"),
    "calls-of": ("{tokens} tokens not asked for", "少用 {tokens} 个 token"),
    "money": ("Money saved", "节省费用"),
    "money-net": ("net of the gateway's own cost", "已扣除网关自身成本"),
    "money-gross": ("before the gateway's own cost", "未扣除网关自身成本"),
    "money-estimated": ("{value} more by estimate", "另估计节省 {value}"),
    "money-unknown": ("No price", "未设价格"),
    "money-unknown-do": ("Set prices in the configuration to see it in money", "在配置中设置 prices 即可显示金额"),
    "time": ("Waiting saved", "省下的等待"),
    "time-of": ("of the model's time that was not needed", "模型无需工作的时间"),
    "wrong": ("Reported wrong", "被报告的错误"),
    "wrong-of": ("of {judged} near hits that people looked at", "共 {judged} 次近似命中经人工检查"),
    "wrong-none": ("Nobody has judged a near hit yet", "尚无人检查近似命中"),
    "judge-them": ("Look at them", "去检视"),
    # Charts.
    "chart-requests": ("Requests and hit rate", "请求与命中率"),
    "chart-requests-says": ("What became of the questions that the cache was asked", "缓存所收到的提问的结果"),
    "chart-saved-money": ("Money saved", "节省费用"),
    "chart-saved-time": ("Waiting saved", "省下的等待"),
    "chart-saved-says": ("In each step of time", "按时间分段"),
    "chart-latency": ("Hits against misses", "命中与未命中的耗时"),
    "chart-latency-says": (
        "Time until the client has its answer (logarithmic)",
        "客户端得到答案的时间（对数坐标）",
    ),
    "chart-latency-faster": (
        "{hit} instead of {miss}: {times} times as fast",
        "{hit}，而非 {miss}：快 {times} 倍",
    ),
    "chart-reasons": ("Why not from the cache", "为何未用缓存"),
    "chart-reasons-says": ("Requests that went to the model, by reason", "转发给模型的请求，按原因"),
    "chart-reasons-all": ("Every reason, explained", "全部原因与说明"),
    "exact": ("exact", "完全相同"),
    "pixel": ("pixel", "像素相同"),
    "near": ("near", "近似"),
    "miss": ("miss", "未命中"),
    "bypass": ("not asked", "未询问"),
    "error": ("error", "错误"),
    "hit": ("hit", "命中"),
    "p50": ("half within", "半数不超过"),
    "p90": ("90 % within", "90% 不超过"),
    "p95": ("95 % within", "95% 不超过"),
    "p99": ("99 % within", "99% 不超过"),
    "seconds": ("seconds", "秒"),
    "requests": ("requests", "请求"),
    "nothing-yet": ("Nothing in this period", "此时段没有数据"),
    # Lists.
    "most-served": ("Most served pictures", "最常命中的图片"),
    "most-served-says": ("Each was asked of the model once", "每张只问过模型一次"),
    "most-served-none": (
        "Pictures appear here once a question about one is asked again.",
        "同一图片再次被问时会出现在这里。",
    ),
    "served-times": ("served {times}×", "命中 {times} 次"),
    "no-picture-kept": ("no picture kept", "未保留图片"),
    "recent": ("Recent requests", "最近请求"),
    "recent-says": ("The last ones, whatever became of them", "最近的请求及其结果"),
    "when": ("When", "时间"),
    "outcome": ("Outcome", "结果"),
    "reason": ("Reason", "原因"),
    "model": ("Model", "模型"),
    "took": ("Took", "耗时"),
    "similarity": ("Similarity", "相似度"),
    "entry": ("Entry", "条目"),
    "count": ("Requests", "请求数"),
    "share": ("Share", "占比"),
    "explanation": ("What it means", "含义"),
    # State of the gateway.
    "mode": ("Mode", "模式"),
    "embedder": ("Embedder", "嵌入模型"),
    "stored": ("Stored answers", "已存答案"),
    "up": ("Up for", "已运行"),
    "version": ("Version", "版本"),
    "shadow-title": ("Shadow mode: nothing is served from the cache", "影子模式：不从缓存回答"),
    "shadow-says": (
        "Of {requests} requests, {hits} would have been answered from the cache ({rate}). "
        "Of {compared} that were compared, {agreed} say the same as the model did.",
        "{requests} 次请求中有 {hits} 次本可由缓存回答（{rate}）。"
        "已比较 {compared} 次，其中 {agreed} 次与模型回答一致。",
    ),
    "off-title": ("The cache is turned off", "缓存已关闭"),
    "off-says": (
        'Every request is forwarded: mode = "off" in the settings.',
        '所有请求都被转发：设置为 mode = "off"。',
    ),
    "embedder-loading": (
        "The embedder is loading: exact and pixel hits only, for now.",
        "嵌入模型加载中：暂时只有完全相同和像素相同的命中。",
    ),
    "embedder-failed": (
        "There is no embedder, so there are no near hits: {why}",
        "没有嵌入模型，因此没有近似命中：{why}",
    ),
    "embedder-fallback": ("A fallback embedder is in use: {why}", "正在使用备用嵌入模型：{why}"),
    "webhook-trouble": ("The webhook {name} does not take events: {why}", "Webhook {name} 未接收事件：{why}"),
    "webhook-was-full": ("its queue was full", "队列曾满"),
    "webhook-waits": (
        "{queued} wait, {set_aside} were set aside, {dropped} were dropped.",
        "{queued} 个等待中，{set_aside} 个已搁置，{dropped} 个被丢弃。",
    ),
    "empty-title": ("Nothing was asked yet", "还没有请求"),
    "empty-says": (
        "Point a client at this gateway: only its base URL changes. Then ask about the same picture twice.",
        "把客户端的 base_url 指向本网关即可，然后就同一图片提问两次。",
    ),
    "empty-or": ("Or try it without a model of your own:", "或者不用自己的模型先试一试："),
    # The hit inspector.
    "hits-says": (
        "Two files that the cache took for one picture. Is the answer right for the picture that was asked about?",
        "缓存把两个文件当作同一张图片。对所问图片而言，答案正确吗？",
    ),
    "misses-says": (
        "Pictures that look alike to the embedding, and that the guard did not take for one. These went to the model.",
        "嵌入认为相像、但守卫拒绝视为同一张的图片。这些请求已转发给模型。",
    ),
    "near-hits": ("Near hits", "近似命中"),
    "near-misses": ("Near misses", "近似未中"),
    "near-hits-none": (
        "No near hit yet. One appears when a picture comes back re-encoded or resized, with the same question.",
        "还没有近似命中。图片重新编码或缩放后带着同一问题再来时会出现。",
    ),
    "near-misses-none": (
        "No near miss yet. One appears when a picture looks like a stored one and is not the same.",
        "还没有近似未中。图片与已存图片相像但并不相同时会出现。",
    ),
    "pic-stored": ("stored", "已存"),
    "pic-asked": ("asked", "所问"),
    "pic-heat": ("where they differ", "差异所在"),
    "pic-close": ("closest look: stored | asked", "细看：已存 | 所问"),
    "picture-n": ("Picture {n}", "图片 {n}"),
    "heat-legend": (
        "Yellow begins at 30 % of what re-encoding explains, red is at or above it.",
        "黄色自重新编码可解释差异的 30% 起，红色为达到或超过。",
    ),
    "drawing": ("The pictures are being drawn.", "图片绘制中。"),
    "undrawn": ("Too much came at once: no pictures were drawn of this one.", "请求过多，未绘制此次图片。"),
    "pictures-off": ("Pictures are not kept: dashboard_pictures is off.", "未保留图片：dashboard_pictures 已关闭。"),
    "pictures-strict": ("Pictures are not kept under strict privacy.", "严格隐私模式下不保留图片。"),
    "same": ("taken for one picture", "视为同一图片"),
    "would-same": ("would have been served (shadow mode)", "本会命中（影子模式）"),
    "refused": ("refused", "已拒绝"),
    "guard": ("Difference", "差异"),
    "guard-of": ("{score} of {limit} allowed", "{score}，限值 {limit}"),
    "guard-over": ("{score}, {limit} allowed", "{score}，超过限值 {limit}"),
    "guard-rule": ("a rule refused before anything was measured", "测量之前已被规则拒绝"),
    "guard-glance": ("clear at a first glance", "一眼可辨"),
    "cosine": ("Similarity", "相似度"),
    "cosine-of": ("{similarity}, at least {threshold} wanted", "{similarity}，要求至少 {threshold}"),
    "place": ("Place", "位置"),
    "place-of": ("{across} across, {down} down", "横向 {across}，纵向 {down}"),
    "answer": ("Answer served", "所给答案"),
    "answer-would": ("Stored answer, not served", "已存答案（未使用）"),
    "answer-fresh": ("What the model said", "模型的回答"),
    "answer-gone": ("The answer is not stored any more.", "答案已不在存储中。"),
    "prompt": ("Question", "问题"),
    "say-right": ("Right answer", "答案正确"),
    "say-wrong": ("Wrong answer", "答案错误"),
    "said-right": ("You said: right.", "已标记：正确。"),
    "said-wrong": (
        "You said: wrong. The answer is removed, and this pair never matches again.",
        "已标记：错误。答案已删除，此图片对不会再匹配。",
    ),
    "say-failed": ("That did not work:", "操作失败："),
    "older": ("Older", "更早"),
    "newer": ("Newer", "更新"),
    "pairs": ("{n} pictures in the request", "请求含 {n} 张图片"),
}


class Words:
    """The words of one language, by key."""

    def __init__(self, lang: Lang) -> None:
        self.lang = lang

    def __call__(self, key: str, **values: object) -> str:
        text = _WORDS[key][self.lang is Lang.ZH]
        return text.format(**values) if values else text

    def number(self, value: float) -> str:
        return f"{value:,.0f}"

    def percent(self, share: float | None) -> str:
        if share is None:
            return "–"
        return f"{100 * share:.1f}%" if self.lang is Lang.ZH else f"{100 * share:.1f} %"

    def money(self, value: float, currency: str) -> str:
        """Enough digits that a small sum is not zero, and no more."""
        digits = 2 if abs(value) >= 1 or value == 0 else 4 if abs(value) >= 0.001 else 6
        return f"{value:,.{digits}f} {currency}"

    def bytes(self, count: float) -> str:
        for unit in ("B", "KB", "MB"):
            if count < 1000:
                return f"{count:.0f} {unit}"
            count /= 1000
        return f"{count:.1f} GB"

    def milliseconds(self, value: float) -> str:
        return self.seconds(value / 1000)

    def seconds(self, value: float) -> str:
        """A time that something took."""
        if value < 1:
            return f"{1000 * value:.0f} ms" if value >= 0.0095 or value == 0 else f"{1000 * value:.1f} ms"
        return f"{value:.1f} s" if value < 60 else self.span(value)

    def span(self, seconds: float) -> str:
        """A long time, in the two largest units that say something."""
        units = ((86400, "d", "天"), (3600, "h", "小时"), (60, "min", "分"), (1, "s", "秒"))
        left = round(seconds)
        said: list[str] = []
        for size, en, zh in units:
            count, left = divmod(left, size)
            if count or (size == 1 and not said):
                said.append(f"{count:,} {zh if self.lang is Lang.ZH else en}")
        return " ".join(said[:2])

    def ago(self, seconds: float) -> str:
        """How long ago, in one unit."""
        if seconds < 2:
            return "刚刚" if self.lang is Lang.ZH else "just now"
        said = self.span(next((seconds - seconds % unit for unit in (86400, 3600, 60) if seconds >= unit), seconds))
        return f"{said}前" if self.lang is Lang.ZH else f"{said} ago"


def chosen(named: str | None, accept: str) -> Lang:
    """The language that was chosen, or else the first of `accept` (an Accept-Language field) that is spoken here."""
    if named in list(Lang):
        return Lang(named)
    wishes = []
    for position, part in enumerate(accept.split(",")):
        tag, _, parameter = part.strip().partition(";")
        weight = parameter.strip().removeprefix("q=") if parameter else "1"
        wishes.append((-_weight(weight), position, tag[:2].lower()))
    spoken = (tag for weight, _, tag in sorted(wishes) if weight and tag in list(Lang))
    return Lang(next(spoken, Lang.EN))


def _weight(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 0.0
