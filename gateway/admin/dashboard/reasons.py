"""Every reason in a few words, English and Chinese, for charts and lists. docs/reasons.md has them at length."""

from typing import Final

from gateway.admin.dashboard.words import Lang

# reason: (short English, short Chinese, longer English, longer Chinese)
_REASONS: Final[dict[str, tuple[str, str, str, str]]] = {
    # Why the cache had no answer.
    "first-asked": (
        "asked for the first time",
        "首次提问",
        "This question was never answered for this key and model. It is stored now.",
        "此密钥与模型从未回答过该问题；现已存入。",
    ),
    "new-picture": (
        "a new picture",
        "新图片",
        "The question is known, and no stored picture is near enough.",
        "问题已知，但没有足够相近的已存图片。",
    ),
    "rung-forbidden": (
        "near hits not allowed here",
        "不允许近似命中",
        "The mode in force ends below the rung that might have hit.",
        "当前模式低于可能命中的层级。",
    ),
    "no-plain-view": (
        "no plain rendering",
        "无统一呈现方式",
        "16-bit and similar pictures hit by their pixels only.",
        "16 位等图片只能按像素命中。",
    ),
    "embedder-not-ready": (
        "embedder not ready",
        "嵌入模型未就绪",
        "Near hits need vectors, and the embedder is not there yet.",
        "近似命中需要向量，而嵌入模型尚未就绪。",
    ),
    "embedder-busy": (
        "embedder too slow",
        "嵌入模型过慢",
        "The embedder did not answer in time. The setting is embed_timeout_s.",
        "嵌入模型未及时返回，参见设置 embed_timeout_s。",
    ),
    "stale": (
        "stored answer too old",
        "已存答案过期",
        "Stored, but older than this request allows.",
        "已存，但超过该请求允许的时限。",
    ),
    "key-unverified": (
        "key not verified lately",
        "密钥近期未经上游验证",
        "The upstream has not accepted this key for this model lately. The setting is credential_trust_s.",
        "上游近期未对该模型接受此密钥，参见设置 credential_trust_s。",
    ),
    "no-usage": (
        "token counts missing",
        "缺少 token 计数",
        "Stored from a stream without token counts. The setting stream_usage helps.",
        "来自没有 token 计数的流；可设置 stream_usage。",
    ),
    "stored-answer-unreadable": (
        "stored answer unreadable",
        "已存答案不可读",
        "Stored by another version, or damaged. It is forgotten.",
        "由其他版本写入或已损坏，已被遗忘。",
    ),
    # The guard's refusals.
    "larger-picture": (
        "the new picture shows more detail",
        "新图细节更多",
        "The asked picture holds more detail than the stored one: the model may read more in it.",
        "所问图片细节多于已存图片，模型可能读出更多内容。",
    ),
    "geometry": (
        "does not lie on the stored one",
        "无法对齐",
        "No scale and shift lays one picture onto the other.",
        "任何缩放与平移都无法让两图重合。",
    ),
    "content-added": (
        "shows something beyond the edge",
        "边缘外多出内容",
        "The asked picture shows something beyond the stored one's edge.",
        "所问图片在已存图片边缘之外多出内容。",
    ),
    "content-lost": (
        "something at the edge is gone",
        "边缘内容缺失",
        "The stored picture showed something beyond the asked one's edge.",
        "已存图片在所问图片边缘之外还有内容。",
    ),
    "resolution": (
        "too different in size or sharpness",
        "尺寸或清晰度相差过大",
        "Too far apart in size or sharpness to be compared.",
        "尺寸或清晰度相差过大，无法比较。",
    ),
    "tone": (
        "brightness or colour differ",
        "亮度或色彩不同",
        "Brightness or colour differ by more than an honest edit.",
        "亮度或色彩差异超出正常处理的范围。",
    ),
    "noise": (
        "too noisy to tell",
        "噪声过大",
        "Too noisy to tell a change from the noise.",
        "噪声过大，无法分辨改动。",
    ),
    "small-text": (
        "text too small to compare",
        "文字过小",
        "There is text too small for a changed stroke to be seen.",
        "文字过小，看不出笔画改动。",
    ),
    "local-change": (
        "one place differs",
        "局部不同",
        "One place differs by more than re-encoding explains.",
        "某处差异超出重新编码所能解释的程度。",
    ),
    "colour-change": (
        "one place differs in colour",
        "局部颜色不同",
        "One place differs in colour by more than re-encoding explains.",
        "某处颜色差异超出重新编码所能解释的程度。",
    ),
    "guard-limit": (
        "beyond the stricter limit",
        "超出更严格的限值",
        "One picture to the guard, but it differs by more than the limit in force allows.",
        "守卫认为是同一图片，但差异超过现行限值。",
    ),
    "judged-wrong": (
        "judged wrong before",
        "曾被判为错误",
        "A person said that this pair is not one picture, or not one answer.",
        "有人指出这两张图片不同，或答案不适用。",
    ),
    # Why the cache was not asked.
    "model-changing": (
        "model being changed",
        "模型正在变更",
        "The model's weights are being changed; nothing old is served, and nothing is stored.",
        "模型权重正在变更：不提供旧回答，也不存入新回答。",
    ),
    "no-dialect": (
        "not a question about pictures",
        "不是图片提问",
        "A path such as models or health: passed through.",
        "例如模型列表或健康检查：直接转发。",
    ),
    "mode-off": (
        "cache turned off",
        "缓存已关闭",
        "The operator or the caller turned the cache off.",
        "运维者或调用者关闭了缓存。",
    ),
    "shadow": (
        "shadow mode",
        "影子模式",
        "Looked up and forwarded all the same.",
        "照常查找，但一律转发。",
    ),
    "no-picture": (
        "no picture in the question",
        "问题中没有图片",
        "Other caches do that better.",
        "其他缓存更适合纯文本。",
    ),
    "picture-by-reference": (
        "picture given by URL",
        "以 URL 给出的图片",
        "The content of the picture is not in the request.",
        "图片内容不在请求中。",
    ),
    "picture-fetch-refused": (
        "fetching not allowed",
        "不允许抓取图片",
        "The settings do not allow the picture's address to be fetched. See fetch_pictures.",
        "设置不允许抓取该图片地址，参见设置 fetch_pictures。",
    ),
    "picture-fetch-failed": (
        "fetching failed",
        "抓取图片失败",
        "The picture's host gave no whole picture in time.",
        "图片所在主机未及时返回完整图片。",
    ),
    "picture-unreadable": (
        "picture unreadable here",
        "图片无法读取",
        "The upstream may still read it.",
        "上游或许仍能读取。",
    ),
    "picture-too-large": (
        "picture too large",
        "图片过大",
        "More pixels than the setting pixels_max.",
        "像素数超过设置 pixels_max。",
    ),
    "picture-animated": (
        "animated picture",
        "动态图片",
        "More than one frame: forwarded, never cached.",
        "多于一帧：转发，不缓存。",
    ),
    "pictures-too-many": (
        "too many pictures",
        "图片过多",
        "More pictures than the setting request_pictures_max.",
        "图片数超过设置 request_pictures_max。",
    ),
    "picture-too-slow": (
        "picture too slow to decode",
        "图片解码过慢",
        "Not decoded within the setting decode_timeout_s.",
        "未能在设置 decode_timeout_s 内解码。",
    ),
    "unknown-part": (
        "video, audio or a file",
        "视频、音频或文件",
        "Content that this version does not cache.",
        "本版本不缓存的内容。",
    ),
    "unknown-shape": (
        "unknown form of request",
        "未知请求格式",
        "A body that does not have the form of this API.",
        "请求体不符合该 API 的格式。",
    ),
    "not-json": ("not JSON", "不是 JSON", "A body that is not JSON.", "请求体不是 JSON。"),
    "ambiguous-json": (
        "ambiguous JSON",
        "JSON 有歧义",
        "Duplicate keys or huge numbers: servers may read it differently.",
        "重复键或超大数字：不同服务器可能读法不同。",
    ),
    "encoded-body": ("encoded body", "请求体已编码", "Compressed or encrypted.", "已压缩或加密。"),
    "body-too-large": (
        "body too large",
        "请求体过大",
        "Larger than the setting body_bytes_max.",
        "超过设置 body_bytes_max。",
    ),
    "stateful": (
        "depends on state",
        "依赖状态",
        "The answer depends on, or creates, state at the upstream.",
        "答案依赖或改变上游状态。",
    ),
    "server-tools": (
        "server-side tools",
        "服务器端工具",
        "The upstream may search or run something.",
        "上游可能会搜索或执行程序。",
    ),
    "range-or-upgrade": (
        "Range or upgrade",
        "Range 或升级",
        "A Range header, or a WebSocket.",
        "Range 请求头或 WebSocket。",
    ),
    "cache-slow": (
        "the cache took too long",
        "缓存耗时过长",
        "The lookup was cut off, and the request forwarded: a slow disk or an overloaded machine.",
        "查询被中止并已转发：磁盘缓慢或机器过载。",
    ),
    "cache-fault": (
        "a fault of the cache",
        "缓存故障",
        "Ours: logged, and forwarded all the same. Look at the log.",
        "我们的故障：已记录并照常转发，请查看日志。",
    ),
    "no-cache": (
        "caller asked for a fresh answer",
        "调用者要求新答案",
        "Cache-Control: no-cache.",
        "Cache-Control: no-cache。",
    ),
}


def short(reason: str, lang: Lang) -> str:
    """A few words; those of the code where this file has none."""
    return _REASONS[reason][lang is Lang.ZH] if reason in _REASONS else reason.replace("-", " ")


def sentence(reason: str, lang: Lang) -> str:
    return _REASONS[reason][2 + (lang is Lang.ZH)] if reason in _REASONS else ""
