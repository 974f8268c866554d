"""What the pictures say, in two scripts. Words of one list can stand for each other."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    shops: tuple[str, ...]
    items: tuple[str, ...]
    names: tuple[str, ...]
    cities: tuple[str, ...]
    states: tuple[str, ...]
    fields: tuple[str, ...]  # labels of forms, settings, columns
    totals: tuple[str, ...]
    titles: tuple[str, ...]  # of charts and tables
    months: tuple[str, ...]
    messages: tuple[str, ...]
    actions: tuple[str, ...]  # on buttons
    questions: tuple[str, ...]
    money: tuple[str, ...]  # in front of an amount

    def lists(self) -> tuple[tuple[str, ...], ...]:
        """The lists whose words can stand for each other."""
        return (self.shops, self.items, self.names, self.cities, self.states, self.months, self.actions)


LATIN = Words(
    shops=("Corner Market", "North Bakery", "Blue Harbor Cafe", "City Hardware", "Green Grocer", "Lakeside Books"),
    items=(
        *("Whole milk", "Brown bread", "Olive oil", "Orange juice", "Basmati rice", "Green tea", "Dark chocolate"),
        *("Cheddar cheese", "Free range eggs", "Tomato soup", "Ground coffee", "Paper towels", "Batteries AA"),
        *("Apple pie", "Sparkling water", "Peanut butter", "Frozen peas", "Dish soap", "Black pepper", "Honey"),
    ),
    names=("Anna Keller", "Tom Brennan", "Priya Nair", "Luis Ortega", "Mia Novak", "Sam Whitfield", "Eva Lindqvist"),
    cities=("Hamburg", "Lisbon", "Boston", "Toronto", "Nairobi", "Madrid", "Oslo", "Denver", "Lyon", "Perth"),
    states=("Paid", "Unpaid", "Open", "Closed", "Pending", "Approved", "Rejected", "Shipped", "Delayed", "Returned"),
    fields=(
        *("Order no", "Date", "Customer", "Weight", "Account", "Balance", "Due", "Status", "Rate", "Volume", "Speed"),
        *("Room", "Seat", "Gate", "Dose", "Batch", "Model", "Serial", "Power", "Wi-Fi", "Bluetooth", "Sound"),
    ),
    totals=("Subtotal", "Tax", "Total", "Cash", "Change", "Discount"),
    titles=("Sales by month", "Average rainfall", "Units shipped", "Energy use", "Visitors per day", "Test results"),
    months=("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    messages=(
        *("See you at 8:30 tomorrow", "The total is 142.50", "Can you send me the file?", "Yes, I agree"),
        *("No, not this week", "Train leaves from gate 6", "I paid 36.90 for two", "Where is the key?"),
        *("My flight is on Tuesday", "It costs 1,280 a month", "Meet at door 14", "Call me on 555 0163"),
    ),
    actions=("Save", "Cancel", "Send", "Delete", "Accept", "Decline", "Start", "Stop", "Next", "Back", "Buy now"),
    questions=(
        "A train travels {a} km in {b} hours. What is its average speed in km/h?",
        "The sides of a triangle are {a} cm, {b} cm and {c} cm. Find its perimeter.",
        "A box holds {a} red and {b} blue balls. {c} balls are drawn. How many ways are there?",
        "Water flows into a tank at {a}.{b} litres per minute. How full is it after {c} minutes?",
        "In the figure, AB = {a}, BC = {b} and the angle at B is {c} degrees. Find AC.",
    ),
    money=("$", "€", "£", ""),
)

CHINESE = Words(
    shops=("大众超市", "天天面包房", "东方书店", "千味餐厅", "白云药房", "未来电器城"),
    items=(
        *("纯牛奶", "全麦面包", "大米五千克", "太阳饼", "白菜", "土豆", "鲜橙汁", "绿茶", "黑巧克力", "西红柿", "鸡蛋"),
        *("花生油", "矿泉水", "王记豆腐", "玉米", "木耳", "洗洁精", "干电池", "酱油", "苹果"),
    ),
    names=("王小明", "李天华", "张未来", "陈玉兰", "刘大伟", "赵本山", "周日升"),
    cities=("北京", "上海", "天津", "广州", "成都", "西安", "南京", "杭州", "大连", "长沙"),
    states=("已付", "未付", "已发货", "待审核", "已通过", "已拒绝", "进行中", "已取消"),
    fields=(
        *("订单号", "日期", "客户", "重量", "账户", "余额", "到期日", "状态", "利率", "体积", "速度", "房间"),
        *("座位", "登机口", "剂量", "批号", "型号", "编号", "功率", "无线网络", "蓝牙", "声音"),
    ),
    totals=("小计", "税额", "合计", "现金", "找零", "优惠"),
    titles=("每月销售额", "平均降雨量", "今年发货量", "用电情况", "日均人数", "考试成绩"),
    months=("一月", "二月", "三月", "四月", "五月", "六月", "七月", "八月", "九月", "十月", "冬月", "腊月"),
    messages=(
        *("明天8:30见", "一共142.50元", "能把文件发给我吗", "好的，我同意", "不行，本周没空", "火车从6号口上车"),
        *("两个人付了36.90元", "钥匙在哪里", "今天下午开会", "每月1280元", "14号门口等", "请打电话给我"),
    ),
    actions=("保存", "取消", "发送", "删除", "接受", "拒绝", "开始", "停止", "下一步", "返回", "立即购买"),
    questions=(
        "一列火车{b}小时行驶{a}千米，求它的平均速度。",
        "三角形的三边长分别为{a}厘米、{b}厘米和{c}厘米，求周长。",
        "盒中有{a}个红球和{b}个白球，从中取出{c}个，问有多少种取法？",
        "水以每分钟{a}.{b}升的速度流入水池，{c}分钟后有多少水？",
        "如图，已知AB={a}，BC={b}，角B为{c}度，求AC的长。",
    ),
    money=("¥", "¥", ""),
)

# Characters that differ by one stroke or so, either way.
STROKES = (
    *("EF", "OQ", "PR", "CG", "ce", "oa", "hn", "vy", "ft", "VY", "uy", "bh", "BE", "DO", "UO", "nm"),
    *("大太", "未末", "日目", "人入", "己已", "土士", "千干", "天夫", "王玉", "木本", "白百", "问间", "元无", "今令"),
    *("午牛", "小少", "西四", "水木", "明朋", "大天", "开井", "电甲", "房户", "口日", "目自", "全金"),
)
NEAR_DIGITS = {
    "0": "68",
    "1": "7",
    "2": "7",
    "3": "8",
    "4": "9",
    "5": "6",
    "6": "850",
    "7": "1",
    "8": "3690",
    "9": "48",
}
